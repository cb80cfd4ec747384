import type { Command } from 'commander';
import type { AuditEvent } from '../../schema/audit-event.ts';
import type { AuditVerification } from '../../schema/audit-verification.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { usageError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { ocsfEvent } from '../output/ocsf-event.ts';
import { print, say } from '../output/talk.ts';
import { verificationLines } from '../output/verification-text.ts';
import { type Filters, queryOf, withFilters } from './audit-filters.ts';
import { verifyFile } from './audit-verify-file.ts';

/** A check reads every row there is; five minutes is as long as the client waits for the first byte of an answer. */
const verifyWithinMs = 5 * 60_000;
/** A chain is exported as fast as it is taken, all of it. */
const exportWithinMs = 60 * 60_000;
const pageRows = 2000;

type VerifyOptions = ConnectionOptions & { format: Format; file?: string; key?: string };

const verify = async ({ format, file, key, ...options }: VerifyOptions): Promise<void> => {
  if (file !== undefined) return verifyFile(file, key, format);
  if (key !== undefined) throw usageError('--key is for a file', 'name the export with --file');
  const { api, path } = openSession(options);
  const found = await api.get<AuditVerification>(`${path}/audit/verification`, verifyWithinMs);
  if (format === 'json') print(JSON.stringify(found, undefined, 2));
  else for (const line of verificationLines(found)) print(line);
  if (!found.ok) process.exitCode = exitCodes.error;
};

const exportRows = async ({ format, ...options }: ConnectionOptions & Filters & { format: Format }): Promise<void> => {
  const { api, path } = openSession(options);
  if (format === 'chain') {
    if (queryOf(options) !== '') throw usageError('a chain is exported whole', 'leave the filters out');
    for await (const text of await api.stream(`${path}/audit/chain`, exportWithinMs)) process.stdout.write(text);
    return;
  }
  const lineOf = (event: AuditEvent): string => JSON.stringify(format === 'ocsf' ? ocsfEvent(event) : event);
  let after = 0;
  for (;;) {
    const page = queryOf(options, { after: String(after), limit: String(pageRows) });
    const { events } = await api.get<{ events: AuditEvent[] }>(`${path}/audit?${page}`);
    if (events.length > 0) print(events.map(lineOf).join('\n'));
    if (events.length < pageRows) return;
    after = events.at(-1)?.sequence ?? after;
  }
};

const erasePerson = async (person: string, { yes = false, ...options }: ConnectionOptions & { yes?: boolean }): Promise<void> => {
  if (!yes)
    throw usageError(
      `${person} could not be found in the audit any more, and nobody could take that back`,
      'say `--yes` if that is what you want',
    );
  const { api, path } = openSession(options);
  const { pseudonym } = await api.post<{ pseudonym: string }>(`${path}/audit/erasures`, { person });
  print(pseudonym);
  say(`The rows of ${person} stay under that pseudonym, and their chain still verifies. Backups of the database still know who it was.`);
};

/** `audit verify`, `audit export` and `audit erase-person`. */
export const auditCheckCommands = (): Command[] => [
  connectedCommand('verify')
    .description('Check that no row was changed, added, moved or taken away: exit code 0, or 1 with what is wrong')
    .option('--file <export>', 'check an export (`audit export -o chain`) instead, without the platform')
    .option('--key <file>', 'public key of the checkpoints (JWK), or an earlier export that is trusted')
    .addOption(formatOption(['table', 'json']))
    .action(verify),
  withFilters(connectedCommand('export'))
    .description(
      'Write out all rows, one JSON object a line, oldest first; as they are, as OCSF 1.6.0 API Activity, or as a chain that verifies',
    )
    .addOption(formatOption(['jsonl', 'ocsf', 'chain']))
    .action(exportRows),
  connectedCommand('erase-person')
    .argument('<id>', 'the person')
    .option('--yes', 'do it; nobody can take it back')
    .description("Forget who stands behind a person's rows; the rows stay, and the audit still verifies")
    .action(erasePerson),
];
