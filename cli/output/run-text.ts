import { endedRunStates, type RunProgress, type RunState } from '../../schema/run.ts';
import { haltLifted } from '../../schema/workflow-contract.ts';
import { exitCodes } from './exit-codes.ts';
import { plainText } from './plain-text.ts';
import { formatCost, formatCount, formatDuration } from './units.ts';

type Stage = RunProgress['stages'][number];

export const hasEnded = ({ state }: { state: RunState }): boolean => endedRunStates.includes(state);

/** What a command that waited for a run ends with. */
export const exitCodeOfRun = (state: RunState): number => {
  switch (state) {
    case 'partial':
      return exitCodes.partial;
    case 'failed':
      return exitCodes.error;
    case 'cancelled':
      return exitCodes.interrupted;
    default:
      return exitCodes.ok;
  }
};

export const elapsedMs = ({ createdAt, endedAt }: Pick<RunProgress, 'createdAt' | 'endedAt'>, now: Date): number =>
  Math.max(0, (endedAt === null ? now.getTime() : Date.parse(endedAt)) - Date.parse(createdAt));

/** `3 of 10 done, 2 running, 1 parked` */
export const stageText = ({ agents, pending, running, done, parked, failed, cancelled }: Stage): string => {
  if (agents === 0) return 'waiting';
  const others = Object.entries({ running, waiting: pending, parked, failed, cancelled });
  return [`${done} of ${agents} done`, ...others.flatMap(([state, count]) => (count > 0 ? [`${count} ${state}`] : []))].join(', ');
};

/** `12 calls, 0 refused, 8,123 + 512 tokens, $0.0012` */
export const totalsText = ({ calls, refusals, inputTokens, outputTokens, costMicroUsd }: RunProgress['totals']): string =>
  `${formatCount(calls)} calls, ${formatCount(refusals)} refused, ${formatCount(inputTokens)} + ${formatCount(outputTokens)} tokens, ${formatCost(costMicroUsd)}`;

/** Why an agent did not come to its end: `read/reader/3 parked (limit_steps): it used 12 of 12 steps` */
export const troubleText = ({ stage, role, ordinal, state, reason, detail }: RunProgress['agents'][number]): string =>
  plainText(`${stage}/${role}/${ordinal} ${state}${reason ? ` (${reason})` : ''}${detail ? `: ${detail}` : ''}`);

/** Of an agent that waits for people: `read/reader/3 waits for a person: quarterdeck approvals show apr_…` */
export const waitText = ({ stage, role, ordinal, waitsFor }: RunProgress['agents'][number], command = 'quarterdeck'): string =>
  `${stage}/${role}/${ordinal} ${waitsFor === haltLifted ? `is halted until a person lifts that: ${command} halt ls` : `waits for a person: ${command} approvals show ${waitsFor}`}`;

export const isWaiting = ({ waitsFor }: RunProgress['agents'][number]): boolean => waitsFor !== null;

export const isTrouble = ({ state }: RunProgress['agents'][number]): boolean => state === 'parked' || state === 'failed';

const nextSteps = ({ id, state, agents }: RunProgress, command: string): string[] => {
  if (state !== 'partial' && state !== 'failed') return [];
  const canResume = agents.some(isTrouble);
  return [
    `See what happened:  ${command} fleet show ${id}`,
    ...(canResume ? [`Go on with more:    ${command} fleet resume ${id} --add-steps 10 --watch`] : []),
  ];
};

/** What is said of a run that has ended; `command` is how the user calls this program. */
export const endingText = (run: RunProgress, now: Date, command: string): string => {
  const lines = [
    `Run ${run.id} of ${run.fleet} ${run.state} after ${formatDuration(elapsedMs(run, now))}: ${totalsText(run.totals)}.${run.reason ? ` ${plainText(run.reason)}.` : ''}`,
    ...run.agents
      .filter(isTrouble)
      .slice(0, 10)
      .map((agent) => `  ${troubleText(agent)}`),
  ];
  const troubles = run.agents.filter(isTrouble).length;
  if (troubles > 10) lines.push(`  and ${troubles - 10} more`);
  if (run.quality === 'tiny' && run.result)
    lines.push('A tiny model made this: it shows that everything works, not what a good model would write.');
  return [...lines, ...nextSteps(run, command)].join('\n');
};
