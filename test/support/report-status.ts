/** `npm run status`: writes the status table of README.md and the page docs/status.md from the reports of the last test run. */
import { readFileSync, writeFileSync } from 'node:fs';
import { acceptance } from '../acceptance.ts';
import { judgeClauses } from './acceptance-status.ts';
import { readOutcomes } from './report-results.ts';
import { renderPage, renderSummary, replaceBetweenMarkers } from './status-tables.ts';

const outcomes = readOutcomes(process.cwd());
// Without a report every clause would be written down as unproven.
if (outcomes.size === 0) throw new Error('test-results/ holds no report. Run `npm test` and `npm run test:full` first.');

const clauses = judgeClauses(acceptance, outcomes);
const readme = replaceBetweenMarkers(readFileSync('README.md', 'utf8'), renderSummary(clauses));
writeFileSync('README.md', readme);
writeFileSync('docs/status.md', renderPage(clauses));
const proven = clauses.filter(({ outcome }) => outcome === 'passed').length;
console.log(`README.md and docs/status.md: ${proven} of ${clauses.length} claimed clauses proven`);
