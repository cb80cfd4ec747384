/**
 * `node test/support/report-totals.ts [EXTRA]`: names what failed in any suite with the first lines of what was said of it, then adds up
 * the reports of all suites, and EXTRA failures seen outside of them, to one line `N passed, N failed` (`, N skipped` where there are any).
 * Exit code 1 when something failed or nothing ran.
 */
import { readSuiteResults, suiteNames } from './report-results.ts';

const suites = suiteNames.map((suite) => readSuiteResults(process.cwd(), suite));
const sum = (key: 'passed' | 'failed' | 'skipped') => suites.reduce((total, suite) => total + suite[key], 0);

// the log of a run is long, and some keep its end alone
const linesOfEach = 6;
for (const { what, said } of suites.flatMap(({ failures }) => failures)) {
  console.log(`failed: ${what}`);
  for (const text of said) console.log(`  ${text.split('\n').slice(0, linesOfEach).join('\n  ')}`);
}

const failed = sum('failed') + Number(process.argv[2] ?? 0);
console.log(`${sum('passed')} passed, ${failed} failed${sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''}`);
process.exitCode = failed === 0 && sum('passed') > 0 ? 0 : 1;
