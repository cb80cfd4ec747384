/**
 * `node test/support/report-acceptance.ts`: says how many claimed clauses the last test run proves, and which it does not. Exit code 1
 * when a clause is not proven that `quick` or `full` should prove; of the suites that are run for themselves it says what their reports
 * show, where there are any.
 */
import { acceptance } from '../acceptance.ts';
import { type ClauseStatus, judgeClauses } from './acceptance-status.ts';
import { hasReport, longSuiteNames, readOutcomes } from './report-results.ts';

const root = process.cwd();
const clauses = judgeClauses(acceptance, readOutcomes(root));

/** @returns how many are not proven */
const report = (claimed: readonly ClauseStatus[], what: string): number => {
  const unproven = claimed.filter(({ outcome }) => outcome !== 'passed');
  for (const { id, clause, outcome, test } of unproven) console.log(`not proven: ${id} ${clause} (${outcome}): ${test}`);
  console.log(`${claimed.length - unproven.length} of ${claimed.length} ${what}`);
  return unproven.length;
};

for (const suite of longSuiteNames)
  if (hasReport(root, suite)) {
    const own = clauses.filter((clause) => clause.suite === suite);
    report(own, `clauses claimed for \`npm run ${suite}\` proven by its last run`);
  }
const unproven = report(
  clauses.filter(({ suite }) => suite === undefined),
  'claimed clauses proven',
);
process.exitCode = unproven === 0 ? 0 : 1;
