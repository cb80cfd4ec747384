import type { Drift } from '../schema/reconcile/drift.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired, ReadObservation } from '../schema/reconcile/observation.ts';
import { hasWritten, type PastFix } from './past-fix.ts';
import type { TargetOf } from './target-port.ts';

const countedMs = 3_600_000;

/** Objects that were pruned within the last hour, by key, each with when. */
export const prunedLately = (fixes: readonly PastFix[], now: number): Map<string, number> =>
  new Map(
    fixes
      .filter((fix) => hasWritten(fix) && !['rolled-back', 'stopped'].includes(fix.state) && now - Date.parse(fix.beganAt) < countedMs)
      .flatMap(({ plan, beganAt }) =>
        (plan?.steps ?? [])
          .filter(({ operation }) => operation.op === 'prune')
          .map(({ operation }) => [objectKey(operation.object), Date.parse(beganAt)] as const),
      ),
  );

/**
 * Whether what is declared no more is too much to be deleted: what is to go now and what went within the last hour count together, or a
 * mass would pass one by one. One object is always allowed.
 * @returns why nothing is deleted, and when it may go on (null: only when the declaration or its limits change)
 */
export const pruneLimit = ({
  target: { spec },
  drifts,
  desired,
  observation,
  fixes,
  now,
}: {
  target: TargetOf;
  drifts: readonly Drift[];
  desired: Extract<Desired, { status: 'read' }>;
  observation: ReadObservation;
  fixes: readonly PastFix[];
  now: number;
}): { because: string; untilMs: number | null } | undefined => {
  const extra = new Set(drifts.filter(({ kind }) => kind === 'extra').map(({ object }) => objectKey(object)));
  const lately = new Map([...prunedLately(fixes, now)].filter(([key]) => !extra.has(key)));
  const known = new Set([
    ...[...desired.objects, ...observation.objects.filter(({ isOurs }) => isOurs)].map(({ ref }) => objectKey(ref)),
    ...lately.keys(),
  ]);
  const { objectsPerPlan, percentPerPlan } = spec.limits;
  const isTooMany = (count: number): boolean =>
    count > objectsPerPlan || (count > 1 && (100 * count) / Math.max(known.size, count) > percentPerPlan);
  if (extra.size === 0 || !isTooMany(extra.size + lately.size)) return undefined;
  const went = lately.size > 0 ? ` and ${lately.size} went within the last hour` : '';
  const because = `${extra.size} objects are declared no more${went}, of ${known.size}: more than ${objectsPerPlan} or than ${percentPerPlan} % are never deleted at once. Declare them again, raise the target's limits, or take fewer away at a time.`;
  return { because, untilMs: isTooMany(extra.size) ? null : Math.min(...lately.values()) + countedMs };
};
