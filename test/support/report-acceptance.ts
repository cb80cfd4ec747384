/**
 * `node test/support/report-acceptance.ts`: says how many claimed clauses the last test run proves, and which it does not.
 * Exit code 1 when a claimed clause is not proven.
 */
import { acceptance } from '../acceptance.ts';
import { judgeClauses } from './acceptance-status.ts';
import { readOutcomes } from './report-results.ts';

const clauses = judgeClauses(acceptance, readOutcomes(process.cwd()));
const unproven = clauses.filter(({ outcome }) => outcome !== 'passed');

for (const { id, clause, outcome, test } of unproven) console.log(`not proven: ${id} ${clause} (${outcome}): ${test}`);
console.log(`${clauses.length - unproven.length} of ${clauses.length} claimed clauses proven`);
process.exitCode = unproven.length === 0 ? 0 : 1;
