import type { Drift } from '../schema/reconcile/drift.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { Health, Observation, ObservedObject, ReadObservation } from '../schema/reconcile/observation.ts';
import type { Plan } from '../schema/reconcile/plan.ts';
import type { TargetOf } from './target-port.ts';

export type Effect = 'gone' | 'waiting' | 'unchanged' | 'worse';

/** Healths without the object of the fault: what is around it must not pay for its mending. */
const healths = ({ objects, neighbours }: ReadObservation, besides: string): Map<string, Health> =>
  new Map([...objects, ...neighbours].map(({ ref, health }) => [objectKey(ref), health] as const).filter(([key]) => key !== besides));

/** Whether the object of a fault is as its mending leaves it. A kind without a health of its own (`unknown`) is well by being as declared. */
const isWell = ({ kind }: Drift, object: ObservedObject | undefined, healthBefore: Health | undefined): boolean => {
  // what was added is gone; what was ill before and of other causes is a fault of its own, and no reason to put it back
  if (kind === 'added' && object !== undefined && healthBefore === 'degraded') return true;
  if (kind === 'extra') return object === undefined;
  // what was stuck on its way out is gone, or somebody made it anew
  if (kind === 'deleting') return object === undefined || (object.deletingSince === '' && object.health !== 'degraded');
  return object?.health === 'healthy' || (object?.health === 'unknown' && kind !== 'unhealthy');
};

/**
 * Whether a fix worked, out of what is seen and not of what was said: the fault gone, its neighbourhood no worse, for the whole hold time. An
 * observation that cannot be read proves nothing either way: it is waited for, because an undoing could not be seen either.
 * @param isThere - whether the fault is still among the drifts of `after`
 * @param goneSinceMs - how long it has been gone without a break; the hold time is counted from there, by default from the apply
 */
export const judgeEffect = ({
  before,
  after,
  drift,
  sinceAppliedMs,
  target,
  isThere,
  goneSinceMs = sinceAppliedMs,
}: {
  before: Observation;
  after: Observation;
  drift: Drift;
  plan: Plan;
  sinceAppliedMs: number;
  target: TargetOf;
  isThere: boolean;
  goneSinceMs?: number;
}): Effect => {
  const { timeoutSeconds, holdSeconds } = target.spec.verification;
  if (after.status !== 'read') return 'waiting';
  const key = objectKey(drift.object);
  if (before.status === 'read') {
    const earlier = healths(before, key);
    const isNeighbourWorse = [...healths(after, key)].some(([name, health]) => health === 'degraded' && earlier.get(name) === 'healthy');
    if (isNeighbourWorse) return 'worse';
  }
  const object = after.objects.find(({ ref }) => objectKey(ref) === key);
  const healthBefore = before.status === 'read' ? before.objects.find(({ ref }) => objectKey(ref) === key)?.health : undefined;
  if (!isThere && isWell(drift, object, healthBefore)) return goneSinceMs >= holdSeconds * 1000 ? 'gone' : 'waiting';
  return sinceAppliedMs >= timeoutSeconds * 1000 ? 'unchanged' : 'waiting';
};
