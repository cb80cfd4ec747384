import type { Conflict, Drift } from '../schema/reconcile/drift.ts';
import type { Desired, Observation } from '../schema/reconcile/observation.ts';
import { diffTarget } from './diff-target.ts';
import type { Hold } from './field-ownership.ts';
import { type AcceptedDeviation, overlayDesired } from './overlay-desired.ts';
import type { PastFix } from './past-fix.ts';
import type { TargetOf } from './target-port.ts';

/** What differs, and what does not count as differing. `kept`: the target as adapters get it, which leaves what was accepted. */
export type KeptDiff = { drifts: Drift[]; conflicts: Conflict[]; kept: TargetOf; accepted: AcceptedDeviation[] };

/**
 * Differences between what was declared and what is seen, where what verified fixes made other than declared is no difference.
 * @param fixes - those that stand (`listStandingFixes`)
 * @param digest - what fixes know declared objects by (`ContentStore.digestOf`)
 * @param now - milliseconds since the epoch
 */
export const diffKept = ({
  target,
  fixes,
  digest,
  holds,
  now,
  ...seen
}: {
  target: TargetOf;
  desired: Desired;
  observation: Observation;
  fixes: readonly PastFix[];
  digest: (text: string) => string;
  holds: readonly Hold[];
  now: number;
}): KeptDiff => {
  const { effective, target: kept, accepted } = overlayDesired({ target, ...seen, fixes, digest });
  return { ...diffTarget({ target: kept, desired: effective, observation: seen.observation, holds, now }), kept, accepted };
};
