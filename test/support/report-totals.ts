/**
 * `node test/support/report-totals.ts [EXTRA]`: names what failed in any suite, or passed only when it was tried again, with the first lines of
 * what was said of it, then adds up
 * the reports of all suites, and EXTRA failures seen outside of them, to one line `N passed, N failed` (`, N skipped` where there are any).
 * Exit code 1 when something failed or nothing ran.
 */
import { type Failure, readSuiteResults, suiteNames } from './report-results.ts';

const suites = suiteNames.map((suite) => readSuiteResults(process.cwd(), suite));
const sum = (key: 'passed' | 'failed' | 'skipped') => suites.reduce((total, suite) => total + suite[key], 0);

// the log of a run is long, and some keep its end alone
const linesOfEach = 6;
const tell = (how: string, { what, said }: Failure): void => {
  console.log(`${how}: ${what}`);
  for (const text of said) console.log(`  ${text.split('\n').slice(0, linesOfEach).join('\n  ')}`);
};
for (const suite of suites) {
  for (const one of suite.unsteady) tell('passed when tried again', one);
  for (const one of suite.failures) tell('failed', one);
}

const failed = sum('failed') + Number(process.argv[2] ?? 0);
console.log(`${sum('passed')} passed, ${failed} failed${sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''}`);
process.exitCode = failed === 0 && sum('passed') > 0 ? 0 : 1;
