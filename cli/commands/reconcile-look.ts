import { setTimeout as sleep } from 'node:timers/promises';
import { Argument, type Command, Option } from 'commander';
import type { FixEvidence, PastFixDetail, TargetDetail, TargetExplanation } from '../../schema/reconcile/requests.ts';
import type { TargetStatus } from '../../schema/reconcile/target-state.ts';
import { patiently } from '../client/patience.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { CliError, usageError } from '../output/cli-error.ts';
import { evidenceText } from '../output/evidence-text.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { toYaml } from '../output/manifest.ts';
import { explanationText, fixText, statusTable } from '../output/reconcile-text.ts';
import { sayIfSlow } from '../output/say-if-slow.ts';
import { screenColumns, wideOption } from '../output/screen-columns.ts';
import { print, say } from '../output/talk.ts';
import { parseDuration } from '../output/units.ts';

type Options = ConnectionOptions & { format: Format };
const pollMs = 500;

/** Prints data as it was asked for; @returns false where it is to be shown to people */
const printed = (format: Format, data: object): boolean => {
  if (format !== 'json' && format !== 'yaml') return false;
  print(format === 'json' ? JSON.stringify(data, undefined, 2) : toYaml(data));
  return true;
};

const placeOf = (path: string, target: string): string => `${path}/reconcile/targets/${encodeURIComponent(target)}`;

/** What is there is not what was declared, or nobody can say: scripts hear it from the exit code. */
const isOff = ({ phase, drifts }: Pick<TargetStatus, 'phase' | 'drifts'>): boolean => drifts.length > 0 || phase !== 'clean';

const status = async (target: string | undefined, { format, wide, ...connection }: Options & { wide?: boolean }): Promise<void> => {
  const { api, path, tenancy } = openSession(connection);
  const targets = target
    ? [await api.get<TargetDetail>(placeOf(path, target))]
    : (await api.get<{ targets: TargetStatus[] }>(`${path}/reconcile`)).targets;
  if (targets.some(isOff)) process.exitCode = exitCodes.changes;
  if (printed(format, { targets })) return;
  if (format === 'name') return targets.length > 0 ? print(targets.map((one) => one.target).join('\n')) : undefined;
  if (targets.length === 0) return say(`No ReconcileTarget is declared in ${tenancy.org}/${tenancy.project}.`);
  print(statusTable(targets, new Date(), screenColumns({ wide })));
};

/** So long a workflow may take to begin: until then its absence says nothing. */
const beginMs = 3_000;

const now = async (
  target: string,
  { format, wait, timeout, ...connection }: Options & { wait?: boolean; timeout: string },
): Promise<void> => {
  const { api, path } = openSession(connection);
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs === undefined) throw usageError(`--timeout ${timeout} is no duration, such as 90s or 5m`);
  let seen = await api.post<TargetDetail>(`${placeOf(path, target)}/now`, {});
  const began = performance.now();
  while (wait && (seen.isReconciling !== false || performance.now() - began < beginMs) && seen.phase !== 'awaiting-approval') {
    if (performance.now() - began > timeoutMs)
      throw new CliError(`The wait for ${target} is over; it is ${seen.phase}`, {
        code: 'timeout',
        exitCode: exitCodes.timeout,
        next: `quarterdeck reconcile explain ${target}`,
      });
    await sleep(pollMs);
    seen = await patiently(() => api.get<TargetDetail>(placeOf(path, target)));
  }
  if (wait && seen.phase === 'awaiting-approval') process.exitCode = exitCodes.needsApproval;
  else if (wait && isOff(seen)) process.exitCode = exitCodes.changes;
  if (printed(format, seen)) return;
  if (format === 'name') return print(target);
  if (!wait) return say(`${target} is looked at now; \`quarterdeck reconcile status ${target}\` says what came of it.`);
  print(statusTable([seen], new Date(), screenColumns({})));
};

/** What the diagnosis of one fix was made of. */
const evidence = async (target: string, fixId: string, { format, ...connection }: Options): Promise<void> => {
  const { api, path } = openSession(connection);
  const found = await api.get<FixEvidence>(`${placeOf(path, target)}/fixes/${encodeURIComponent(fixId)}/evidence`);
  if (printed(format, found)) return;
  print(format === 'name' ? found.digest : evidenceText(found.evidence));
  const { agent } = found;
  if (agent) say(`What its agent read and said: quarterdeck run show ${agent.run} --agent ${agent.id} --transcript`);
};

const history = async (
  target: string,
  { limit, evidence: fixId, ...options }: Options & { limit: string; evidence?: string },
): Promise<void> => {
  if (fixId !== undefined) return evidence(target, fixId, options);
  const { format, ...connection } = options;
  const { api, path } = openSession(connection);
  const { fixes } = await api.get<{ fixes: PastFixDetail[] }>(`${placeOf(path, target)}/history?limit=${encodeURIComponent(limit)}`);
  if (printed(format, { fixes })) return;
  if (format === 'name') return fixes.length > 0 ? print(fixes.map(({ id }) => id).join('\n')) : undefined;
  if (fixes.length === 0) return say(`Nothing of ${target} was ever mended.`);
  print(fixes.map(fixText).join('\n\n'));
};

const explain = async (target: string, { format, ...connection }: Options): Promise<void> => {
  const { api, path } = openSession(connection);
  const explanation = await sayIfSlow(
    api.get<TargetExplanation>(`${placeOf(path, target)}/explain`),
    `What ${target} keeps, or Temporal, does not answer yet; it is waited for a few seconds more, and then told without it.`,
  );
  if (printed(format, explanation)) return;
  print(explanationText(explanation));
};

const targetArgument = (): Argument => new Argument('<target>', 'name of a ReconcileTarget');

export const lookCommands = (): Command[] => [
  connectedCommand('status')
    .description('Where each target is and what it waits for; exit code 3 where something is not as declared')
    .argument('[target]', 'one alone')
    .addOption(wideOption())
    .addOption(formatOption(['table', 'json', 'yaml', 'name']))
    .action(status),
  connectedCommand('now')
    .description('Have a target looked at at once')
    .addArgument(targetArgument())
    .option('--wait', 'until nothing is done at it any more; exit code 0 as declared, 3 not, 5 a person is asked')
    .addOption(new Option('--timeout <duration>', 'how long to wait').default('5m'))
    .addOption(formatOption(['table', 'json', 'yaml', 'name']))
    .action(now),
  connectedCommand('history')
    .description('What was tried, by whom and on what evidence, with what each step changed')
    .addArgument(targetArgument())
    .addOption(new Option('--limit <count>', 'the newest so many').default('20'))
    .option('--evidence <fix>', 'what the diagnosis of one was made of, instead')
    .addOption(formatOption(['table', 'json', 'yaml', 'name']))
    .action(history),
  connectedCommand('explain')
    .description('Why a target is where it is, and what comes next, after a fresh look')
    .addArgument(targetArgument())
    .addOption(formatOption(['table', 'json', 'yaml']))
    .action(explain),
];
