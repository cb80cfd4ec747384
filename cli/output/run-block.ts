import type { RunProgress } from '../../schema/run.ts';
import { elapsedMs, isTrouble, isWaiting, stageText, totalsText, troubleText, waitText } from './run-text.ts';
import type { styler } from './talk.ts';
import { formatDuration } from './units.ts';

const barWidth = 20;
const troublesShown = 3;

type Stage = RunProgress['stages'][number];

/** `█████▒▒░░░`: done, running or not done for good, waiting. */
const bar = ({ agents, done, running, parked, failed, cancelled }: Stage): string => {
  if (agents === 0) return '░'.repeat(barWidth);
  const full = Math.round((done / agents) * barWidth);
  const begun = Math.round(((done + running + parked + failed + cancelled) / agents) * barWidth) - full;
  return '█'.repeat(full) + '▒'.repeat(Math.max(0, begun)) + '░'.repeat(Math.max(0, barWidth - full - Math.max(0, begun)));
};

/**
 * The block that a terminal shows while a run goes on; it is drawn anew at each look.
 * @param options.columns - width of the terminal; longer lines are cut, so that the block keeps its height
 */
export const renderRunBlock = (
  run: RunProgress,
  { now, columns, rows, style }: { now: Date; columns: number; rows: number; style: ReturnType<typeof styler> },
): string[] => {
  const width = Math.max(...run.stages.map(({ name }) => name.length), 0);
  const cut = (line: string): string => (line.length >= columns ? `${line.slice(0, Math.max(1, columns - 2))}…` : line);
  const lines = [
    style('bold', cut(`${run.fleet}  ${run.id}  ${run.state}  ${formatDuration(elapsedMs(run, now))}`)),
    ...run.stages.map((stage) => cut(`  ${stage.name.padEnd(width)}  ${bar(stage)}  ${stageText(stage)}`)),
    style('dim', cut(`  ${totalsText(run.totals)}`)),
    ...run.agents
      .filter(isTrouble)
      .slice(-troublesShown)
      .map((agent) => style('yellow', cut(`  ! ${troubleText(agent)}`))),
    ...run.agents
      .filter(isWaiting)
      .slice(-troublesShown)
      .map((agent) => style('yellow', cut(`  ? ${waitText(agent)}`))),
  ];
  // a block higher than the screen could not be drawn over
  return lines.slice(0, Math.max(1, rows - 1));
};
