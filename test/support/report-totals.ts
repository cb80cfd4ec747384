/**
 * `node test/support/report-totals.ts [EXTRA]`: adds up the reports of all suites, and EXTRA failures seen outside of them, to one
 * line `N passed, N failed` (`, N skipped` where there are any). Exit code 1 when something failed or nothing ran.
 */
import { readSuiteResults, suiteNames } from './report-results.ts';

const suites = suiteNames.map((suite) => readSuiteResults(process.cwd(), suite));
const sum = (key: 'passed' | 'failed' | 'skipped') => suites.reduce((total, suite) => total + suite[key], 0);

const failed = sum('failed') + Number(process.argv[2] ?? 0);
console.log(`${sum('passed')} passed, ${failed} failed${sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''}`);
process.exitCode = failed === 0 && sum('passed') > 0 ? 0 : 1;
