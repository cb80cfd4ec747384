import type { Drift } from '../schema/reconcile/drift.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';
import { endOf, type PastFix, wasUndone } from './past-fix.ts';
import type { TargetOf } from './target-port.ts';

/** Whether a fix changed the object of a drift, or was made for it. */
const isAbout = ({ plan, fingerprint }: PastFix, drift: Drift): boolean => {
  const key = objectKey(drift.object);
  return fingerprint.endsWith(` @ ${key}`) || plan?.steps.some(({ operation }) => objectKey(operation.object) === key) === true;
};

/**
 * Until when an object may still be on its way back: what was done to it was undone, its pods are made anew, and what they show meanwhile is no
 * fault of its own. The fault that the fix was for is none of these: seen again, the object is where it was. The time is bounded by what the
 * target gives an effect to show.
 * @returns milliseconds since the epoch; 0 where nothing of it was undone
 */
export const settlesUntil = ({ spec }: TargetOf, drift: Drift, fixes: readonly PastFix[]): number =>
  drift.kind === 'unhealthy'
    ? Math.max(
        0,
        ...fixes
          .filter((fix) => wasUndone(fix) && fix.fingerprint !== drift.fingerprint && isAbout(fix, drift))
          .map((fix) => endOf(fix) + spec.verification.timeoutSeconds * 1000),
      )
    : 0;
