import type { Conflict, Drift } from '../schema/reconcile/drift.ts';
import { objectKey, writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { Desired, Observation } from '../schema/reconcile/observation.ts';
import { closedGate, type Pause } from './closed-gate.ts';
import type { Hold } from './field-ownership.ts';
import { judgeDrift } from './judge-drift.ts';
import { hasWritten, type PastFix } from './past-fix.ts';
import { pruneLimit } from './prune-limit.ts';
import type { TargetOf } from './target-port.ts';
import { firstLeaving, firstUnwell, type Wave, wavesOf } from './wave-order.ts';

/**
 * `answered`: people or a diagnosis said to leave it. `settling`: it was just put back. `wave`: an earlier wave is not well yet. `deleting`: it is
 * on its way out. `mass-prune`: too much is declared no more.
 */
export type WhyWait =
  | 'frozen'
  | 'paused'
  | 'held'
  | 'window'
  | 'rate'
  | 'blocked'
  | 'answered'
  | 'cooldown'
  | 'settling'
  | 'wave'
  | 'deleting'
  | 'mass-prune';
/** `was-held`: people held it until lately; they are asked, and no model. */
export type WhyEscalate = 'no-rule' | 'rule-failed' | 'ineffective' | 'contested' | 'was-held';
/** What is done next, and why, as a sentence for people. `untilMs` null: nothing but somebody's act ends the waiting. */
export type WhatNow = { because: string } & (
  | { next: 'nothing' }
  | { next: 'wait'; untilMs: number | null; why: WhyWait; drift?: Drift }
  | { next: 'contested'; drift: Drift; field: string; untilMs: number | null }
  | { next: 'rule'; drift: Drift }
  | { next: 'escalate'; drift: Drift; why: WhyEscalate }
);

export type WhatNowInput = {
  target: TargetOf;
  drifts: readonly Drift[];
  conflicts: readonly Conflict[];
  fixes: readonly PastFix[];
  /** Those in force, and those of the last week: of what was held people say what becomes of it. */
  holds: readonly Hold[];
  desired: Desired;
  observation: Observation;
  /** An undo failed, and nobody has lifted it. */
  frozen: boolean;
  pause: Pause | null;
  now: number;
};

const hourMs = 3_600_000;

/** What speaks against any change of the target, whatever the drift is. */
const gate = ({ target, fixes, frozen, pause, now }: WhatNowInput): WhatNow | undefined => {
  const { spec } = target;
  if (frozen)
    return { next: 'wait', untilMs: null, why: 'frozen', because: 'An undo failed; nothing is changed until a person lifts that.' };
  const closed = closedGate({ target, pause, now });
  if (closed) return { next: 'wait', ...closed };
  const writes = fixes.filter((fix) => hasWritten(fix) && now - Date.parse(fix.beganAt) < hourMs);
  if (writes.length < spec.limits.fixesPerHour) return undefined;
  return {
    next: 'wait',
    untilMs: Math.min(...writes.map(({ beganAt }) => Date.parse(beganAt))) + hourMs,
    why: 'rate',
    because: `${writes.length} changes were made within the last hour; ${spec.limits.fixesPerHour} are the most.`,
  };
};

/** What holds a whole wave up, or undefined. */
const waveGate = (wave: Wave, input: WhatNowInput, isOpen: boolean): ((drift: Drift) => WhatNow) | undefined => {
  const { target, drifts, desired, observation, fixes, now } = input;
  if (desired.status !== 'read' || observation.status !== 'read') return undefined;
  const nextLook = now + target.spec.intervalSeconds * 1000;
  const waits =
    (because: string) =>
    (drift: Drift): WhatNow => ({ next: 'wait', untilMs: nextLook, why: 'wave', drift, because });
  const unwell = firstUnwell(wave, desired, observation);
  if (unwell) return waits(`${writeObjectRef(unwell.ref)} of wave ${unwell.wave} comes first, and is not well yet.`);
  if (!isOpen) return waits('A fault of an earlier wave is mended first.');
  if (!wave.isPrune) return undefined;
  const leaving = firstLeaving(wave.number, desired, observation);
  if (leaving) return waits(`${writeObjectRef(leaving.ref)} of a later wave goes first, and is still there.`);
  const limit = pruneLimit({ target, drifts, desired, observation, fixes, now });
  return limit && ((drift) => ({ next: 'wait', why: 'mass-prune', drift, ...limit }));
};

/** What only people can decide holds no later wave up, as long as it is well. */
const isPeoples = (judged: WhatNow): boolean =>
  judged.next === 'contested' || (judged.next === 'wait' && (judged.why === 'answered' || judged.why === 'blocked'));

/** A deletion that goes its ordinary way is waited for. */
const leavingByItself = (drift: Drift, { observation, target, now }: WhatNowInput): WhatNow | undefined => {
  if (drift.kind !== 'deleting' || observation.status !== 'read') return undefined;
  const object = observation.objects.find(({ ref }) => objectKey(ref) === objectKey(drift.object));
  return object?.health === 'degraded'
    ? undefined
    : {
        next: 'wait',
        untilMs: now + target.spec.intervalSeconds * 1000,
        why: 'deleting',
        drift,
        because: `${writeObjectRef(drift.object)} is being deleted; it is made anew once it is gone.`,
      };
};

/** Of each drift, in the order in which they are mended, what is done about it now and why: what `reconcile explain` prints. */
export const explainDrifts = (input: WhatNowInput): WhatNow[] => {
  const { drifts, desired, observation, target, fixes, holds, now } = input;
  if (desired.status !== 'read' || observation.status !== 'read') return [];
  let isOpen = true;
  return wavesOf(drifts, desired, observation).flatMap((wave) => {
    const held = waveGate(wave, input, isOpen);
    const judged = wave.drifts.map(
      (drift) => held?.(drift) ?? leavingByItself(drift, input) ?? judgeDrift(target, drift, fixes, holds, now),
    );
    isOpen &&= judged.every(isPeoples);
    return judged;
  });
};

const soonest = (judged: readonly WhatNow[]): number | null => {
  const ends = judged.flatMap((one) => ('untilMs' in one && one.untilMs !== null ? [one.untilMs] : []));
  return ends.length > 0 ? Math.min(...ends) : null;
};

/**
 * What is to be done about the drifts of a target, one at a time. Seeing and reporting go on whatever this says; it only says whether anything
 * is changed. A rule that does not fit (`chooseRule`) is the caller's reason to escalate with `no-rule`.
 * @param input.now - milliseconds since the epoch
 */
export const whatNow = (input: WhatNowInput): WhatNow => {
  const { target, drifts, conflicts, holds, desired, observation, frozen, now } = input;
  if (desired.status !== 'read' || observation.status !== 'read')
    return { next: 'nothing', because: 'What was declared or what is there cannot be read.' };
  if (drifts.length === 0 && !frozen) {
    const holdEnds = holds.map(({ untilAt }) => Date.parse(untilAt)).filter((until) => until > now);
    return conflicts.some(({ why }) => why === 'held') && holdEnds.length > 0
      ? { next: 'wait', untilMs: Math.min(...holdEnds), why: 'held', because: 'What differs is held by people.' }
      : { next: 'nothing', because: `${target.name} is as it was declared.` };
  }
  const closed = gate(input);
  if (closed) return closed;
  const judged = explainDrifts(input);
  const next = judged.find((one) => one.next === 'rule' || one.next === 'escalate');
  if (next) return next;
  // what is contested is said whatever else waits; when something else is due is said with it
  const contested = judged.find((one) => one.next === 'contested');
  if (contested) return { ...contested, untilMs: soonest(judged) };
  const untilMs = soonest(judged);
  return judged.find((one) => 'untilMs' in one && one.untilMs === untilMs) ?? { next: 'nothing', because: 'Nothing differs.' };
};
