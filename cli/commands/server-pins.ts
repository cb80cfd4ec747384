import { Command, Option } from 'commander';
import type { WaitingChange } from '../../schema/approval.ts';
import { type AcceptPins, type DefinitionKind, DefinitionKindSchema, type Pin, PinStateSchema } from '../../schema/definition.ts';
import { confirm } from '../client/confirm.ts';
import { type ConnectionOptions, connectedCommand, openSession, type Session } from '../client/session.ts';
import { CliError, usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { toYaml } from '../output/manifest.ts';
import { pinDiff, pinReference, pinRows } from '../output/pin-text.ts';
import { plainText } from '../output/plain-text.ts';
import { sayWaiting } from '../output/say-waiting.ts';
import { renderTable } from '../output/table.ts';
import { print, say, styler } from '../output/talk.ts';

type Options = ConnectionOptions & { kind?: DefinitionKind; state?: Pin['state']; format: Format };
type AcceptOptions = Options & { all?: boolean; hash?: string; acceptIssues?: boolean; yes?: boolean };

const serverPath = ({ path }: Session, server: string): string => `${path}/servers/${encodeURIComponent(server)}/pins`;

const find = async (session: Session, server: string | undefined, { kind, state }: Pick<Options, 'kind' | 'state'>): Promise<Pin[]> => {
  const { pins } = await session.api.get<{ pins: Pin[] }>(server === undefined ? `${session.path}/pins` : serverPath(session, server));
  return pins.filter((pin) => (kind === undefined || pin.kind === kind) && (state === undefined || pin.state === state));
};

const pickNamed = (server: string, pins: Pin[], names: string[]): Pin[] =>
  names.flatMap((name) => {
    const named = pins.filter((pin) => pin.name === name || pinReference(pin) === name);
    if (named.length === 0)
      throw new CliError(`The server ${server} has nothing named ${name}`, {
        code: 'not_found',
        next: `quarterdeck server pins ls ${server}`,
      });
    return named;
  });

const list = async (server: string | undefined, { format, ...options }: Options): Promise<void> => {
  const pins = await find(openSession(options), server, options);
  if (format === 'json') return print(JSON.stringify({ pins }, undefined, 2));
  if (format === 'yaml') return print(toYaml({ pins }));
  if (pins.length === 0) return say('Nothing like that is pinned; a server is looked at soon after it was applied.');
  if (format === 'name') return print(pins.map((pin) => plainText(pinReference(pin))).join('\n'));
  const { head, rows } = pinRows(pins);
  print(renderTable(head, rows));
};

const showDiffs = (pins: readonly Pin[], colours: boolean): void => {
  const style = styler(colours, process.stdout);
  for (const line of pins.map(pinDiff).join('\n\n').split('\n')) {
    const colour = line.startsWith('# ISSUE') ? 'yellow' : line.startsWith('+') ? 'green' : line.startsWith('-') ? 'red' : undefined;
    print(colour ? style(colour, plainText(line)) : plainText(line));
  }
};

const diff = async (server: string | undefined, names: string[], { format, ...options }: Options): Promise<void> => {
  const session = openSession(options);
  const pins = await find(session, server, options);
  const chosen = server !== undefined && names.length > 0 ? pickNamed(server, pins, names) : pins;
  const waiting = chosen.filter(({ state }) => state !== 'approved');
  if (waiting.length > 0) process.exitCode = exitCodes.changes;
  if (format === 'json') return print(JSON.stringify({ pins: waiting }, undefined, 2));
  if (waiting.length === 0) return say('Everything is in force as it is offered.');
  showDiffs(waiting, session.config.colours);
};

const choose = (server: string, pins: Pin[], names: string[], { all, hash }: AcceptOptions): Pin[] => {
  if (names.length === 0 && !all) throw usageError(`Say what to accept: quarterdeck server pins accept ${server} NAME…, or --all`);
  const chosen = (names.length > 0 ? pickNamed(server, pins, names) : pins).filter(({ state }) => state !== 'approved');
  if (hash === undefined) return chosen;
  if (hash.length < 12) throw usageError('--hash takes at least the first 12 characters that `quarterdeck server pins diff` shows');
  const [only, ...others] = chosen;
  if (!only || others.length > 0) throw usageError('--hash is of one definition; name that one');
  if (!only.currentHash.startsWith(hash))
    throw new CliError(`${pinReference(only)} of ${server} has changed since you looked`, {
      code: 'conflict',
      next: `quarterdeck server pins diff ${server}`,
    });
  return chosen;
};

const accept = async (server: string, names: string[], options: AcceptOptions): Promise<void> => {
  const session = openSession(options);
  const chosen = choose(server, await find(session, server, options), names, options);
  if (chosen.length === 0) return say('There is nothing to accept: everything is in force as it is offered.');
  if (!options.yes) {
    showDiffs(chosen, session.config.colours);
    await confirm(
      `Accept ${chosen.length === 1 ? 'this' : `these ${chosen.length}`} for ${session.tenancy.org}/${session.tenancy.project}?`,
      'Accepting asks a person; in a script say --yes, and --hash HASH for what was looked at',
    );
  }
  const body: AcceptPins = {
    definitions: chosen.map(({ kind, name, currentHash }) => ({ kind, name, currentHash })),
    acceptIssues: options.acceptIssues ?? false,
  };
  const answer = await session.api.post<{ accepted: Pick<Pin, 'kind' | 'name' | 'currentHash'>[] } | WaitingChange>(
    `${serverPath(session, server)}/accept`,
    body,
  );
  if (options.format === 'json') print(JSON.stringify(answer, undefined, 2));
  if ('approvalId' in answer) return sayWaiting(answer);
  if (options.format === 'json') return;
  for (const pin of answer.accepted) {
    const reference = plainText(pinReference(pin));
    print(options.format === 'name' ? reference : `${reference} ${pin.currentHash === '' ? 'forgotten' : 'accepted'}`);
  }
};

const kindOption = (): Option => new Option('--kind <kind>', 'only of this kind').choices(DefinitionKindSchema.options);

export const pinsCommand = (): Command =>
  withExamples(
    new Command('pins')
      .description('What servers offer, as it was approved: see what changed, and accept it')
      .addCommand(
        connectedCommand('ls')
          .description('List what is pinned')
          .argument('[server]', 'of one server')
          .addOption(kindOption())
          .addOption(new Option('--state <state>', 'only in this state').choices(PinStateSchema.options))
          .addOption(formatOption(['table', 'json', 'yaml', 'name']))
          .action(list),
      )
      .addCommand(
        connectedCommand('diff')
          .description('Show what is not in force, against what was approved; exit code 3 when there is something')
          .argument('[server]', 'of one server')
          .argument('[name...]', 'only these')
          .addOption(kindOption())
          .addOption(formatOption(['table', 'json']))
          .action(diff),
      )
      .addCommand(
        connectedCommand('accept')
          .description('Put what a server offers now into force')
          .argument('<server>', 'name of the McpServer')
          .argument('[name...]', 'which definitions')
          .option('--all', 'all that wait')
          .addOption(kindOption())
          .option('--hash <hash>', 'only if it is still what was looked at')
          .option('--accept-issues', 'although it has hidden characters or a name like another')
          .option('-y, --yes', 'do not ask')
          .addOption(formatOption(['table', 'json', 'name']))
          .action(accept),
      ),
    [
      ['quarterdeck server pins ls', 'every tool, prompt and template, and how it stands'],
      ['quarterdeck server pins diff files', 'what changed at a server'],
      ['quarterdeck server pins accept files read_file', 'look at one, and accept it'],
    ],
  );
