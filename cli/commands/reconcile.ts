import { Command } from 'commander';
import type { TargetHold } from '../../schema/reconcile/fix.ts';
import type { HoldRequest } from '../../schema/reconcile/requests.ts';
import type { TargetPause } from '../../schema/reconcile/target-pause.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { print, say } from '../output/talk.ts';
import { parseDuration } from '../output/units.ts';
import { limitsCommand } from './reconcile-limits.ts';
import { lookCommands } from './reconcile-look.ts';
import { rulesCommand } from './reconcile-rules.ts';

type Reasoned = ConnectionOptions & { reason?: string };

const secondsOf = (option: string, text: string): number => {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1000) throw usageError(`${option} ${text} is no duration of a second or more, such as 30m or 2h`);
  return Math.round(ms / 1000);
};

const reasonOf = (reason: string | undefined): string => {
  if (reason?.trim()) return reason;
  throw usageError('--reason says why, for those who find it');
};

/** One target or, asked for by its name, all: that nobody stops everything by a forgotten word. */
const targetOf = (target: string | undefined, isAll: boolean | undefined): { target?: string } => {
  if ((target === undefined) === (isAll === undefined)) throw usageError('name a target, or say --all for all of the project');
  return target === undefined ? {} : { target };
};

/** `Deployment/web`, or `Deployment/shop/web` with its namespace. */
const readObject = (text: string): HoldRequest['object'] => {
  const [kind, ...rest] = text.split('/');
  const name = rest.at(-1);
  if (!kind || !name || rest.length > 2) throw usageError(`--object ${text} is not KIND/NAME or KIND/NAMESPACE/NAME`);
  return { kind, name, namespace: rest.length === 2 ? (rest[0] ?? '') : '' };
};

const pause = async (
  target: string | undefined,
  { for: text, reason, all, ...connection }: Reasoned & { for?: string; all?: boolean },
): Promise<void> => {
  const { api, path } = openSession(connection);
  const seconds = text === undefined ? {} : { seconds: secondsOf('--for', text) };
  const body = { ...targetOf(target, all), ...seconds, reason: reasonOf(reason) };
  const placed = await api.post<TargetPause>(`${path}/reconcile/pause`, body);
  print(`${target ?? `all of ${path.slice(1)}`}: paused ${placed.untilAt ? `until ${placed.untilAt}` : 'until somebody resumes it'}`);
  say(
    'Drift is still seen and reported. What is being applied at this moment is finished, or undone where the target says `onStop: undo`; nothing else is changed.',
  );
};

const resume = async (target: string | undefined, { reason = '', all, ...connection }: Reasoned & { all?: boolean }): Promise<void> => {
  const { api, path } = openSession(connection);
  await api.post(`${path}/reconcile/resume`, { ...targetOf(target, all), reason });
  print(`${target ?? `all of ${path.slice(1)}`}: resumed`);
};

type HoldOptions = Reasoned & { object?: string; path?: string; for?: string };

const hold = async (target: string, { object, path: field, for: text, reason, ...connection }: HoldOptions): Promise<void> => {
  const { api, path } = openSession(connection);
  if (text === undefined) throw usageError('--for says how long, such as 2h: a hold ends by itself');
  const body: HoldRequest = {
    ...(object === undefined ? {} : { object: readObject(object) }),
    ...(field === undefined ? {} : { path: field }),
    seconds: secondsOf('--for', text),
    reason: reasonOf(reason),
  };
  const held = await api.post<TargetHold>(`${path}/reconcile/targets/${encodeURIComponent(target)}/holds`, body);
  print(`${held.id}: ${object ?? `all of ${target}`}${field ?? ''} is yours until ${held.untilAt}`);
  say(`Nothing reverts what you do there. Sooner over: quarterdeck reconcile release ${target} ${held.id}`);
};

const release = async (target: string, id: string | undefined, { reason = '', ...connection }: Reasoned): Promise<void> => {
  const { api, path } = openSession(connection);
  const place = `${path}/reconcile/targets/${encodeURIComponent(target)}/holds/release`;
  const { released } = await api.post<{ released: TargetHold[] }>(place, { ...(id === undefined ? {} : { id }), reason });
  print(released.map((one) => `${one.id}: released`).join('\n'));
};

const thaw = async (target: string, { reason, ...connection }: Reasoned): Promise<void> => {
  const { api, path } = openSession(connection);
  await api.post(`${path}/reconcile/targets/${encodeURIComponent(target)}/thaw`, { reason: reasonOf(reason) });
  print(`${target}: thawed, and looked at now`);
};

const changeCommands = (): Command[] => [
  connectedCommand('pause')
    .description('See and report drift of a target, and change nothing')
    .argument('[target]', 'name of a ReconcileTarget')
    .option('--all', 'all of the project')
    .option('--for <duration>', 'ends by itself; without it somebody has to resume it')
    .option('--reason <text>', 'why')
    .action(pause),
  connectedCommand('resume')
    .description('End a pause')
    .argument('[target]', 'name of a ReconcileTarget')
    .option('--all', 'the pause of all of the project')
    .option('--reason <text>', 'why')
    .action(resume),
  connectedCommand('hold')
    .description('Take something of a target into your own hands for a time: what you do there is left alone, and the hold ends by itself')
    .argument('<target>', 'name of a ReconcileTarget')
    .option('--object <object>', 'KIND/NAME or KIND/NAMESPACE/NAME; without it all of the target')
    .option('--path <pointer>', 'one field, such as /spec/replicas')
    .option('--for <duration>', 'how long, such as 2h; at most 30d')
    .option('--reason <text>', 'why')
    .action(hold),
  connectedCommand('release')
    .description('End a hold before its time')
    .argument('<target>', 'name of a ReconcileTarget')
    .argument('[hold]', 'which; all of the target without it')
    .option('--reason <text>', 'why')
    .action(release),
  connectedCommand('thaw')
    .description('Lift what froze a target, after you have looked at what a failed undo left')
    .argument('<target>', 'name of a ReconcileTarget')
    .option('--reason <text>', 'what you found')
    .action(thaw),
];

export const reconcileCommand = (): Command => {
  const reconcile = new Command('reconcile').description('What is kept as it was declared: where it is, why, and what you hold');
  for (const command of [...lookCommands(), ...changeCommands(), limitsCommand(), rulesCommand()]) reconcile.addCommand(command);
  return withExamples(reconcile, [
    ['quarterdeck reconcile status', 'each target, those that need you first'],
    ['quarterdeck reconcile explain shop', 'why it is where it is'],
    ['quarterdeck reconcile hold shop --object Deployment/web --for 2h --reason "incident 42"', 'your hands, for two hours'],
    ['quarterdeck reconcile pause --all --for 1h --reason "maintenance"', 'nothing is changed, drift is still seen'],
    ['quarterdeck reconcile now shop --wait', 'look now, and wait for what comes of it'],
  ]);
};
