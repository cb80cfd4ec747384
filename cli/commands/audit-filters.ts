import { type Command, Option } from 'commander';
import { AuditKindSchema } from '../../schema/audit-event.ts';
import { readSince } from '../client/read-since.ts';

const filterNames = [
  'run',
  'step',
  'agent',
  'role',
  'fleet',
  'person',
  'tool',
  'trace',
  'action',
  'kind',
  'decision',
  'since',
  'limit',
] as const;
/** Which rows a command is about. */
export type Filters = Partial<Record<(typeof filterNames)[number], string>>;

/** The query string of the api for the filters, and what else is asked. */
export const queryOf = (options: Filters, more: Record<string, string> = {}): string => {
  const given = filterNames.flatMap((name): [string, string][] => {
    const value = options[name];
    if (value === undefined) return [];
    return [[name, name === 'since' ? readSince(value) : value]];
  });
  return new URLSearchParams([...given, ...Object.entries(more)]).toString();
};

/** @param limit - how many rows are shown where nobody says; without it there is no such option, and all are */
export const withFilters = (command: Command, limit?: string): Command => {
  command
    .option('--run <id>', 'of one run')
    .option('--step <number>', 'of one step of an agent: its model call, and the tool calls that followed')
    .option('--agent <id>', 'of one agent')
    .option('--role <name>', 'of agents of a role')
    .option('--fleet <name>', 'of runs of a fleet')
    .option('--person <id>', 'of a person and the agents they launched')
    .option('--tool <name>', 'calls of a tool')
    .option('--trace <id>', 'of one trace, by its W3C trace id')
    .option('--action <name>', 'callTool, listTools, invokeModel, listModels, applyResource, launchFleet, …')
    .addOption(new Option('--kind <kind>', 'kind of row').choices(AuditKindSchema.options))
    .addOption(new Option('--decision <decision>', 'what was decided').choices(['allow', 'deny']))
    .option('--since <time>', 'a time ago (10m, 2h) or an instant');
  return limit === undefined ? command : command.option('--limit <count>', 'the newest so many', limit);
};
