import { Command, InvalidArgumentError } from 'commander';
import { type RetentionReport, removedText } from '../../schema/retention.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';
import { formatAge } from '../output/units.ts';

type Options = ConnectionOptions & {
  format: Format;
  auditDays?: number;
  contentDays?: number;
  decisionFactDays?: number;
  outcomeDays?: number;
};

const names: Readonly<Record<RetentionReport['kinds'][number]['what'], string>> = {
  audit: 'rows of the audit',
  contents: 'documents',
  decisionFacts: 'facts of decisions',
  outcomes: 'outcomes of operations',
};

/** @throws {InvalidArgumentError} for what is no number of days */
const readDays = (text: string): number => {
  const days = Number(text);
  if (Number.isInteger(days) && days >= 1 && days <= 36_500) return days;
  throw new InvalidArgumentError('Give a number of days from 1 to 36500.');
};

const retention = async ({ format, auditDays, contentDays, decisionFactDays, outcomeDays, ...options }: Options): Promise<void> => {
  const { api, path, tenancy } = openSession(options);
  const tried = Object.entries({ auditDays, contentDays, decisionFactDays, outcomeDays }).flatMap(([name, days]): [string, string][] =>
    days === undefined ? [] : [[name, String(days)]],
  );
  const query = new URLSearchParams(tried).toString();
  const report = await api.get<RetentionReport>(`${path}/retention${query ? `?${query}` : ''}`);
  if (format === 'json') return print(JSON.stringify(report, undefined, 2));
  const now = new Date();
  print(
    renderTable(
      ['WHAT', 'KEPT', 'ROWS', 'OLDEST', 'WOULD GO', 'GONE'],
      report.kinds.map(({ what, days, rows, oldestAt, due, removed }) => [
        names[what],
        days === null ? 'for good' : `${days}d`,
        String(rows),
        oldestAt === null ? '-' : formatAge(oldestAt, now),
        String(due),
        String(removed?.rows ?? 0),
      ]),
    ),
  );
  for (const { what, removed } of report.kinds)
    if (removed) say(`${names[what]} from before ${removed.before.slice(0, 19)}Z: ${removedText(tenancy, removed)}, the last of them.`);
  if (report.hold) say('The project is on hold: nothing is removed until `spec.retention.hold` is taken back.');
  if (tried.length > 0) say('Nothing was changed: that is what `spec.retention` of the Project would remove with these days.');
};

export const projectCommand = (): Command =>
  new Command('project').description('What a project keeps').addCommand(
    withExamples(
      connectedCommand('retention')
        .description('Show how long rows of the audit, documents and facts of decisions are kept, what would go, and what has gone')
        .option('--audit-days <days>', 'as if rows of the audit were kept for so long', readDays)
        .option('--content-days <days>', 'as if documents were', readDays)
        .option('--decision-fact-days <days>', 'as if facts of decisions were', readDays)
        .option('--outcome-days <days>', 'as if outcomes of operations were', readDays)
        .addOption(formatOption(['table', 'json']))
        .action(retention),
      [
        ['quarterdeck project retention -p lab', 'as the Project says'],
        ['quarterdeck project retention -p lab --audit-days 90', 'before you say so'],
      ],
    ),
  );
