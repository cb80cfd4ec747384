import type { Conflict, Drift } from '../schema/reconcile/drift.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired } from '../schema/reconcile/observation.ts';
import type { Hold } from './field-ownership.ts';
import { isInWindow, windowOpensAt } from './is-in-window.ts';
import { endOf, failuresInRow, fixesOf, hasWritten, isFailure, isRuleFix, type PastFix } from './past-fix.ts';
import type { TargetOf } from './target-port.ts';

export type WhyWait = 'paused' | 'held' | 'window' | 'cooldown' | 'blocked' | 'rate';
export type WhyEscalate = 'no-rule' | 'rule-failed' | 'ineffective' | 'contested';
export type WhatNow =
  | { next: 'nothing' }
  | { next: 'wait'; untilMs: number; why: WhyWait }
  | { next: 'contested'; drift: Drift; field: string }
  | { next: 'rule'; drift: Drift }
  | { next: 'escalate'; drift: Drift; why: WhyEscalate };

const hourMs = 3_600_000;
const rulesFailBeforeEscalation = 2;

/**
 * Drifts of the first wave that has any; what is declared no more goes last, and in reverse. A later wave waits until the earlier is healthy.
 * Something that only is not well is mended where it stands too.
 */
export const nextWave = (drifts: readonly Drift[], desired?: Desired): Drift[] => {
  const waves = new Map(desired?.status === 'read' ? desired.objects.map(({ ref, wave }) => [objectKey(ref), wave]) : []);
  const kept = drifts.filter(({ kind }) => kind !== 'extra');
  if (kept.length === 0) return drifts.toReversed();
  const waveOf = ({ object }: Drift): number => waves.get(objectKey(object)) ?? 0;
  const first = Math.min(...kept.map(waveOf));
  return kept.filter((drift) => waveOf(drift) === first);
};

const judge = ({ spec: { limits } }: TargetOf, drift: Drift, fixes: readonly PastFix[], now: number): WhatNow | undefined => {
  const ofFault = fixesOf(fixes, drift.fingerprint);
  // mended and there again: somebody else takes it back
  const reverts = ofFault.filter((fix) => fix.state === 'fixed' && now - endOf(fix) < 24 * hourMs);
  if (drift.kind === 'changed' && reverts.length >= limits.revertsBeforeContested) {
    const last = Math.max(...reverts.map(endOf));
    const wasAsked = ofFault.some((fix) => !isRuleFix(fix) && Date.parse(fix.beganAt) >= last);
    return wasAsked ? { next: 'contested', drift, field: drift.fields[0]?.path ?? '' } : { next: 'escalate', drift, why: 'contested' };
  }
  const failures = failuresInRow(ofFault);
  const lastFailure = Math.max(0, ...failures.map(endOf));
  if (failures.length >= limits.failuresBeforeBlock && now < lastFailure + limits.blockSeconds * 1000)
    return { next: 'wait', untilMs: lastFailure + limits.blockSeconds * 1000, why: 'blocked' };
  const newest = ofFault[0];
  // an effect that did not show is not tried again by the same means, but another way is found at once
  if (newest !== undefined && isRuleFix(newest) && newest.state === 'ineffective') return { next: 'escalate', drift, why: 'ineffective' };
  if (failures.filter(isRuleFix).length >= rulesFailBeforeEscalation && failures.every(isRuleFix))
    return { next: 'escalate', drift, why: 'rule-failed' };
  const lastWrite = Math.max(0, ...ofFault.filter((fix) => hasWritten(fix) || isFailure(fix) || !isRuleFix(fix)).map(endOf));
  if (lastWrite > 0 && now < lastWrite + limits.cooldownSeconds * 1000)
    return { next: 'wait', untilMs: lastWrite + limits.cooldownSeconds * 1000, why: 'cooldown' };
  return undefined;
};

/**
 * What is to be done about the drifts of a target, one at a time. Seeing and reporting go on whatever this says; it only says whether anything
 * is changed. A rule that does not fit (`chooseRule`) is the caller's reason to escalate with `no-rule`.
 * @param now - milliseconds since the epoch
 * @param desired - tells the waves; without it all are of one
 */
export const whatNow = ({
  target,
  drifts,
  conflicts,
  fixes,
  holds,
  now,
  desired,
}: {
  target: TargetOf;
  drifts: readonly Drift[];
  conflicts: readonly Conflict[];
  fixes: readonly PastFix[];
  holds: readonly Hold[];
  now: number;
  desired?: Desired;
}): WhatNow => {
  const { spec } = target;
  const holdEnds = holds.map(({ untilAt }) => Date.parse(untilAt)).filter((until) => until > now);
  if (drifts.length === 0)
    return conflicts.some(({ why }) => why === 'held') && holdEnds.length > 0
      ? { next: 'wait', untilMs: Math.min(...holdEnds), why: 'held' }
      : { next: 'nothing' };
  // only a change of the target ends a pause, and that is seen by itself: looked at again at the interval
  if (spec.paused) return { next: 'wait', untilMs: now + spec.intervalSeconds * 1000, why: 'paused' };
  if (!isInWindow(spec.windows, now)) return { next: 'wait', untilMs: windowOpensAt(spec.windows, now), why: 'window' };
  const writes = fixes.filter((fix) => hasWritten(fix) && now - Date.parse(fix.beganAt) < hourMs);
  if (writes.length >= spec.limits.fixesPerHour)
    return { next: 'wait', untilMs: Math.min(...writes.map(({ beganAt }) => Date.parse(beganAt))) + hourMs, why: 'rate' };
  let waiting: WhatNow | undefined;
  for (const drift of nextWave(drifts, desired)) {
    const judged = judge(target, drift, fixes, now) ?? { next: 'rule' as const, drift };
    if (judged.next === 'rule' || judged.next === 'escalate') return judged;
    // one that has to wait holds none of its wave up; the soonest end of waiting counts
    if (waiting === undefined || waiting.next !== 'wait' || (judged.next === 'wait' && judged.untilMs < waiting.untilMs)) waiting = judged;
  }
  return waiting ?? { next: 'nothing' };
};
