import { passiveOperations } from '../schema/reconcile/operation.ts';
import type { Plan } from '../schema/reconcile/plan.ts';
import { endOf, type PastFix } from './past-fix.ts';
import type { TargetOf } from './target-port.ts';

/** What a step does to what kind of thing, such as `scale Deployment`: the kind of a fix is what its steps do. */
const kindsOf = ({ steps }: Plan): string[] =>
  steps.filter(({ operation: { op } }) => !passiveOperations.has(op)).map(({ operation: { op, object } }) => `${op} ${object.kind}`);

export type PausedKind = { kind: string; fixId: string; untilMs: number };

/**
 * Kinds of fix that are paused on a target, because one of them made things worse there and was taken back. Until then nothing of the kind is
 * done on this target by itself, for whatever fault; people may still approve one.
 * @param now - milliseconds since the epoch
 */
export const pausedKinds = ({ spec: { limits } }: TargetOf, fixes: readonly PastFix[], now: number): PausedKind[] => {
  const found = new Map<string, PausedKind>();
  for (const fix of fixes) {
    const untilMs = endOf(fix) + limits.blockSeconds * 1000;
    if (fix.state !== 'rolled-back' || fix.plan === null || untilMs <= now) continue;
    for (const kind of kindsOf(fix.plan)) if (untilMs > (found.get(kind)?.untilMs ?? 0)) found.set(kind, { kind, fixId: fix.id, untilMs });
  }
  return [...found.values()];
};

/** Whether a plan does anything that is paused. */
export const isOfPausedKind = (plan: Plan, paused: readonly PausedKind[]): boolean =>
  kindsOf(plan).some((kind) => paused.some((one) => one.kind === kind));
