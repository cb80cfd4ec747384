import type { RunProgress } from '../../schema/run.ts';
import { elapsedMs, hasEnded, isTrouble, isWaiting, stageText, totalsText, troubleText, waitText } from './run-text.ts';
import { formatDuration } from './units.ts';

/**
 * What changed between two looks at a run, one plain line each: for pipes and logs.
 * @param before - undefined at the first look
 */
export const changeLines = (before: RunProgress | undefined, after: RunProgress, now: Date): string[] => {
  const lines: string[] = [];
  if (before?.state !== after.state && !hasEnded(after)) lines.push(`run ${after.id} of ${after.fleet}: ${after.state}`);
  for (const stage of after.stages) {
    const text = stageText(stage);
    const earlier = before?.stages.find(({ name }) => name === stage.name);
    if (stage.agents > 0 && (!earlier || stageText(earlier) !== text)) lines.push(`${stage.name}: ${text}; ${totalsText(after.totals)}`);
  }
  const troubled = new Set(before?.agents.filter(isTrouble).map(({ id }) => id));
  for (const agent of after.agents) if (isTrouble(agent) && !troubled.has(agent.id)) lines.push(troubleText(agent));
  const waited = new Set(before?.agents.map(({ id, waitsFor }) => `${id} ${waitsFor}`));
  for (const agent of after.agents) if (isWaiting(agent) && !waited.has(`${agent.id} ${agent.waitsFor}`)) lines.push(waitText(agent));
  const elapsed = formatDuration(elapsedMs(after, now));
  return lines.map((line) => `[${elapsed}] ${line}`);
};
