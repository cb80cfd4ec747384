import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { AuditEvent } from '../../schema/audit-event.ts';
import { interruptible } from '../client/follow-run.ts';
import { patiently } from '../client/patience.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { auditRows, auditTable } from '../output/audit-table.ts';
import { withExamples } from '../output/command-help.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { print, say } from '../output/talk.ts';
import { auditCheckCommands } from './audit-check.ts';
import { type Filters, queryOf, withFilters } from './audit-filters.ts';

type Options = ConnectionOptions & Filters & { format: Format };

const pollMs = 700;
/** So many numbers back a row may still appear. */
const lateRows = 200;

const show = (events: AuditEvent[], format: Format, isFirst: boolean): void => {
  if (format === 'jsonl') for (const event of events) print(JSON.stringify(event));
  else if (events.length > 0 || isFirst) print(isFirst ? auditTable(events) : auditRows(events));
};

const query = async ({ format, ...options }: Options): Promise<void> => {
  const { api, path } = openSession(options);
  const { events, notes = [] } = await api.get<{ events: AuditEvent[]; notes?: string[] }>(`${path}/audit?${queryOf(options)}`);
  for (const note of notes) say(note);
  if (format === 'json') return print(JSON.stringify({ events }, undefined, 2));
  if (events.length === 0 && format === 'table') return say('No row of the audit is like that.');
  show(events, format, true);
};

const tail = async ({ format, ...options }: Options): Promise<void> => {
  const { api, path } = openSession(options);
  const read = async (more: Record<string, string>) =>
    (await api.get<{ events: AuditEvent[] }>(`${path}/audit?${queryOf(options, more)}`)).events;
  await interruptible(async (signal) => {
    const first = await read({});
    show(first, format, true);
    // rows are numbered before they are committed, so one may appear behind those that were seen
    const seen = new Set(first.map(({ sequence }) => sequence));
    const begin = first[0]?.sequence ?? 0;
    let last = first.at(-1)?.sequence ?? 0;
    while (!signal.aborted) {
      await sleep(pollMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) break;
      const after = String(Math.max(begin, last - lateRows));
      const fresh = (await patiently(() => read({ after, limit: '1000' }), { signal })).filter(({ sequence }) => !seen.has(sequence));
      show(fresh, format, false);
      for (const { sequence } of fresh) seen.add(sequence);
      last = Math.max(last, ...fresh.map(({ sequence }) => sequence));
    }
  });
  process.exitCode = exitCodes.interrupted;
};

export const auditCommand = (): Command => {
  const command = withExamples(
    new Command('audit')
      .description('Who did what, what was decided, how it ended')
      .addCommand(
        withFilters(connectedCommand('query'), '200')
          .description('Show rows of the audit')
          .addOption(formatOption(['table', 'json', 'jsonl']))
          .action(query),
      )
      .addCommand(
        withFilters(connectedCommand('tail'), '20')
          .description('Show the last rows and those that come, until Ctrl-C')
          .addOption(formatOption(['table', 'jsonl']))
          .action(tail),
      ),
    [
      ['quarterdeck audit query --run RUN', 'each call of a run'],
      ['quarterdeck audit query --decision deny --since 1h', 'what was refused'],
      ['quarterdeck audit query -o jsonl | jq .tool', 'for programs'],
      ['quarterdeck audit tail --fleet survey', 'as it happens'],
      ['quarterdeck audit verify', 'whether anything was changed since'],
      ['quarterdeck audit export -o chain > audit.jsonl', 'for a check elsewhere: `audit verify --file audit.jsonl`'],
      ['quarterdeck audit export --since 24h -o ocsf > audit.jsonl', 'for a SIEM'],
    ],
  );
  for (const check of auditCheckCommands()) command.addCommand(check);
  return command;
};
