import type { PastFix } from './past-fix.ts';

type Attempt = Pick<PastFix, 'fingerprint' | 'state' | 'beganAt' | 'endedAt'>;

/**
 * Since when a fault is there as far as is known: when the first was begun of the attempts at it that ended without its being gone.
 * @param fix - the attempt that is told about
 * @param fixes - the history of its target; others than those of the same fault are left aside
 * @returns ISO 8601
 */
export const faultSince = (fix: Attempt, fixes: readonly Attempt[]): string => {
  let since = fix.beganAt;
  const earlier = fixes
    .filter(({ fingerprint, beganAt }) => fingerprint === fix.fingerprint && Date.parse(beganAt) < Date.parse(fix.beganAt))
    .sort((one, other) => Date.parse(other.beganAt) - Date.parse(one.beganAt));
  for (const { state, beganAt } of earlier) {
    // mended, or gone by itself: what came after is another time that it is there
    if (state === 'fixed' || state === 'left-alone') return since;
    since = beganAt;
  }
  return since;
};
