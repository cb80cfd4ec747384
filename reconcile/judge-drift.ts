import type { Drift } from '../schema/reconcile/drift.ts';
import { objectKey, writeObjectRef } from '../schema/reconcile/object-ref.ts';
import { backoffMs, seedOf } from './backoff.ts';
import type { Hold } from './field-ownership.ts';
import { touches } from './json-pointer.ts';
import { endOf, failuresInRow, fixesOf, hasWritten, historyMs, isFailure, isRuleFix, type PastFix } from './past-fix.ts';
import { settlesUntil } from './settles-until.ts';
import type { TargetOf } from './target-port.ts';
import type { WhatNow } from './what-now-types.ts';

const revertsCountMs = 24 * 3_600_000;
const rulesFailBeforeEscalation = 2;
/**
 * Where no cooldown is declared: so long a model is not asked again about a fault of which its last plan was refused or did not help, and
 * longer after each. Nothing is known by then that it did not know, and each answer costs.
 */
const leastModelPauseMs = 60_000;
/** Ends by which people, or who diagnosed, said that nothing is to be done for now. */
const answers: Partial<Record<PastFix['state'], string>> = {
  asked: 'people were asked about it',
  denied: 'people said no to the last plan',
  'left-alone': 'the last diagnosis said to leave it',
};

/** Mended and there again: somebody else takes it back. Oldest first. */
const revertsOf = (ofFault: readonly PastFix[], now: number): number[] =>
  ofFault
    .filter((fix) => fix.state === 'fixed' && now - endOf(fix) < revertsCountMs)
    .map(endOf)
    .sort((one, other) => one - other);

const contested = (drift: Drift, ofFault: readonly PastFix[], most: number, now: number): WhatNow | undefined => {
  if (!['changed', 'added', 'missing'].includes(drift.kind)) return undefined;
  const reverts = revertsOf(ofFault, now);
  if (reverts.length < most) return undefined;
  const because = `It was mended ${reverts.length} times within a day and is there again: somebody else takes it back.`;
  const last = reverts.at(-1) ?? 0;
  if (!ofFault.some((fix) => !isRuleFix(fix) && Date.parse(fix.beganAt) >= last))
    return { next: 'escalate', drift, why: 'contested', because };
  // so many of them are too old by then that it is tried again
  const untilMs = (reverts[reverts.length - most] ?? last) + revertsCountMs;
  const field = drift.fields[0]?.path ?? '';
  return { next: 'contested', drift, field, untilMs, because: `${because} Nothing is written to ${writeObjectRef(drift.object)}.` };
};

/** Held by people until lately, and still as they left it: what they did is not taken back by itself, they are asked (once). */
const wasHeld = (drift: Drift, holds: readonly Hold[], ofFault: readonly PastFix[], now: number): WhatNow | undefined => {
  const key = objectKey(drift.object);
  const paths = drift.fields.length > 0 ? drift.fields.map(({ path }) => path) : [''];
  const ended = holds
    .filter(({ object, path }) => (object === '' || object === key) && paths.some((field) => touches(path, field)))
    .map(({ untilAt }) => Date.parse(untilAt))
    .filter((until) => until <= now && now - until < historyMs);
  const last = Math.max(...ended);
  if (ended.length === 0 || ofFault.some(({ beganAt }) => Date.parse(beganAt) >= last)) return undefined;
  return {
    next: 'escalate',
    drift,
    why: 'was-held',
    because: `People held ${writeObjectRef(drift.object)} until ${new Date(last).toISOString()}, and it is not as declared: they say what becomes of it.`,
  };
};

const blockedText = (failures: readonly PastFix[], { object }: Drift): string =>
  `${failures.length} ${failures.length === 1 ? 'fix' : 'fixes in a row'} of ${writeObjectRef(object)} came to nothing, ${failures[0]?.id} last: nothing is tried there for a time, unless it is declared anew.`;

/** What the history of one fault says about trying again now. */
export const judgeDrift = (target: TargetOf, drift: Drift, fixes: readonly PastFix[], holds: readonly Hold[], now: number): WhatNow => {
  const { limits } = target.spec;
  const ofFault = fixesOf(fixes, drift.fingerprint);
  const isContested = contested(drift, ofFault, limits.revertsBeforeContested, now);
  if (isContested) return isContested;
  const held = wasHeld(drift, holds, ofFault, now);
  if (held) return held;

  const waitUntil = (untilMs: number, why: 'blocked' | 'answered' | 'cooldown' | 'settling', because: string): WhatNow | undefined =>
    now < untilMs ? { next: 'wait', untilMs, why, drift, because } : undefined;
  const blockMs = limits.blockSeconds * 1000;
  // what was planned for an earlier declaration says nothing about this one: who declares anew has it tried anew
  const failures = failuresInRow(ofFault).filter(({ plan }) => plan === null || plan.generation === target.generation);
  const lastFailure = Math.max(0, ...failures.map(endOf));
  const newest = ofFault[0];
  // a rule that leaves something alone waits its own time, and is asked again
  const isAnswer = newest?.endedAt != null && (newest.state !== 'left-alone' || !isRuleFix(newest));
  const answer = newest && isAnswer ? answers[newest.state] : undefined;
  const waits =
    (failures.length >= limits.failuresBeforeBlock
      ? waitUntil(lastFailure + blockMs, 'blocked', blockedText(failures, drift))
      : undefined) ??
    (newest && answer !== undefined
      ? waitUntil(endOf(newest) + blockMs, 'answered', `Nothing new is tried, because ${answer}.`)
      : undefined);
  if (waits) return waits;

  const settlesAt = settlesUntil(target, drift, fixes);
  const settles = waitUntil(
    settlesAt,
    'settling',
    `What a fix did to ${writeObjectRef(drift.object)} was just taken back: what it shows now may pass until ${new Date(settlesAt).toISOString()}.`,
  );
  if (settles) return settles;

  // an effect that did not show is not tried again by the same means, but another way is found at once
  if (newest !== undefined && isRuleFix(newest) && ['ineffective', 'rolled-back'].includes(newest.state))
    return {
      next: 'escalate',
      drift,
      why: 'ineffective',
      because: 'What the rule did was without effect, or made it worse, and was taken back.',
    };
  if (failures.filter(isRuleFix).length >= rulesFailBeforeEscalation && failures.every(isRuleFix))
    return { next: 'escalate', drift, why: 'rule-failed', because: `The rules failed ${failures.length} times.` };

  const cooldownMs = limits.cooldownSeconds * 1000;
  const lastWrite = Math.max(0, ...ofFault.filter((fix) => hasWritten(fix) || isFailure(fix) || !isRuleFix(fix)).map(endOf));
  const seed = seedOf(`${target.org}/${target.project}/${target.name} ${drift.fingerprint}`);
  const firstMs = failures.some((fix) => !isRuleFix(fix) && fix.state !== 'stale') ? Math.max(cooldownMs, leastModelPauseMs) : cooldownMs;
  const pauseMs = Math.max(
    cooldownMs,
    failures.length > 0 ? backoffMs(failures.length, seed, { firstMs, mostMs: Math.max(blockMs, firstMs) }) : 0,
  );
  const cooling =
    lastWrite > 0
      ? waitUntil(lastWrite + pauseMs, 'cooldown', `Between two attempts at one fault lie ${Math.round(pauseMs / 1000)} seconds.`)
      : undefined;
  return cooling ?? { next: 'rule', drift, because: `${drift.kind} ${writeObjectRef(drift.object)}: a rule is looked for.` };
};
