import type { Conflict, Drift } from '../../schema/reconcile/drift.ts';
import type { Desired, Observation } from '../../schema/reconcile/observation.ts';
import type { TargetPhase } from '../../schema/reconcile/target-state.ts';
import type { TargetRow } from '../../store/reconcile-targets.ts';

/** A look at a target: what was declared, what is there, and what differs. */
export type Look = { generation: number; desired: Desired; observation: Observation; drifts: Drift[]; conflicts: Conflict[] };

/**
 * What follows from a look. `start`: there is work, and `about` tells this reason from the next, so that one is not told twice.
 * `note`: nobody works at it, and this is to be seen of it.
 */
export type Judged =
  | { next: 'nothing' }
  | { next: 'note'; phase: 'clean' | 'unknown'; message: string; conflicts: Conflict[] }
  | { next: 'start'; about: string };

/** Phases that nobody works in. In all others a workflow has said where the target is, and it alone says what comes next. */
const restingPhases: ReadonlySet<TargetPhase> = new Set(['clean', 'unknown']);

const fingerprintsOf = (drifts: readonly Drift[]): string =>
  drifts
    .map(({ fingerprint }) => fingerprint)
    .toSorted()
    .join('\n');

/** Of what cannot be read nothing follows but that it is said: no workflow, no change. */
export const judgeLook = ({ generation, desired, observation, drifts, conflicts }: Look, row: TargetRow | undefined): Judged => {
  const isResting = row === undefined || restingPhases.has(row.phase);
  if (observation.status === 'unknown')
    return isResting
      ? { next: 'note', phase: 'unknown', message: `${observation.reason}: ${observation.message}`, conflicts: [] }
      : { next: 'nothing' };
  if (desired.status === 'unreadable')
    return isResting
      ? { next: 'note', phase: 'unknown', message: `what is declared cannot be read: ${desired.message}`, conflicts: [] }
      : { next: 'nothing' };
  if (isResting && drifts.length === 0) return { next: 'note', phase: 'clean', message: '', conflicts };
  const fingerprints = fingerprintsOf(drifts);
  const isKnown = !isResting && row.generation === generation && fingerprintsOf(row.drifts) === fingerprints;
  return isKnown ? { next: 'nothing' } : { next: 'start', about: `${generation}\n${fingerprints}` };
};
