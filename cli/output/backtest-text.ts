import type { BacktestReport, Flip, UndecidedReason } from '../../schema/policy-backtest.ts';
import { effectText } from './effect-text.ts';
import { renderTable } from './table.ts';
import { formatCount } from './units.ts';

const reasons: Readonly<Record<UndecidedReason, string>> = {
  'facts-missing': 'what they were decided on is not stored',
  'facts-removed': 'what they were decided on was removed by retention',
  'other-project': 'policies of another project decided them',
  'url-cut': 'queries of their URLs, or arguments beyond some kilobytes, are not kept, and a policy that is tried may look at them',
  'arguments-not-kept': 'other Rego would be asked, and their arguments are not kept',
  'vocabulary-changed': 'they are recorded in the vocabulary of another release',
};

const calls = (count: number): string => (count === 1 ? '1 call' : `${formatCount(count)} calls`);

const whoOf = ({ role, people }: Flip): string => (role ? `role ${role} (for ${people.join(', ')})` : people.join(', '));

const head = ['TIMES', 'WHO', 'ACTION', 'TARGET', 'FROM', 'TO', 'BY', 'LAST', 'EXAMPLE'];

const row = (flip: Flip): string[] => [
  String(flip.count),
  whoOf(flip),
  flip.action,
  flip.server ? `${flip.server}/${flip.target}` : flip.target,
  effectText(flip.from),
  flip.isSoToday ? `${effectText(flip.to)} (so today)` : effectText(flip.to),
  flip.by.length > 0 ? flip.by.join(', ') : 'no permit',
  flip.lastAt.slice(0, 19).replace('T', ' '),
  flip.decisionId,
];

/** The flips as a table; empty where there are none. */
export const flipTable = ({ flips }: Pick<BacktestReport, 'flips'>): string => (flips.length > 0 ? renderTable(head, flips.map(row)) : '');

/** What was tried and found, in sentences. */
export const backtestSummary = ({ decided, flipped, flips, undecided, firstAt, lastAt, notes }: BacktestReport): string[] => {
  const between = firstAt && lastAt ? ` of ${firstAt.slice(0, 19)}Z to ${lastAt.slice(0, 19)}Z` : '';
  const already = flips.filter(({ isSoToday }) => isSoToday).reduce((sum, { count }) => sum + count, 0);
  return [
    decided === 0
      ? 'No recorded call was decided again: the window has none.'
      : `${calls(decided)}${between} decided again; ${flipped === 0 ? 'none' : formatCount(flipped)} would be decided otherwise.`,
    ...(already > 0
      ? [`${calls(already)} of these are so by the policies in force already: they, or what they were asked, changed since.`]
      : []),
    ...undecided.map(({ reason, count }) => `${calls(count)} could not be decided again: ${reasons[reason]}.`),
    ...notes,
  ];
};
