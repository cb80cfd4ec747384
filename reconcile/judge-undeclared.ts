import type { FieldDrift } from '../schema/reconcile/drift.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { DesiredObject, ObservedObject } from '../schema/reconcile/observation.ts';
import type { IgnoreRule } from '../schema/resources/reconcile-target.ts';
import { type Hold, isHeld, isOfRule, ourManager, ownersAt } from './field-ownership.ts';
import { findUndeclared, type Undeclared } from './find-undeclared.ts';
import { touches } from './json-pointer.ts';

/**
 * What stands in the pods of a workload and in no declaration. `added`: by somebody else, named as in `Undeclared.named`. `dropped`: we declared it
 * once and do so no more, so that applying again takes it away. `held`: people hold it.
 */
export type JudgedUndeclared = { added: FieldDrift[]; dropped: FieldDrift[]; held: FieldDrift[] };

/**
 * Whether the target says to let it be: by its path, as it is seen or by name, or by who wrote it. A manager stands for the whole of a thing
 * that is all its own, and not for what somebody else has changed in it.
 */
const isIgnored = (ignore: readonly IgnoreRule[], { ref, owners }: ObservedObject, { path, named }: Undeclared): boolean => {
  const writers = ownersAt(owners, path);
  return ignore.some(
    (rule) =>
      isOfRule(rule, ref) &&
      (rule.path === undefined || touches(rule.path, path) || touches(rule.path, named)) &&
      (rule.manager === undefined || (writers.length > 0 && writers.every(({ manager }) => manager === rule.manager))),
  );
};

/**
 * Judges what nobody declared. What admission itself adds to the declared manifest whenever it is asked (`admitted`: an injector at work) is let
 * be, and where that is not known nothing is said. Here a field of another applier is no less an addition: who may write may call themself that.
 * @param nowMs - milliseconds since the epoch
 */
export const judgeUndeclared = (
  { ignore, holds, nowMs }: { ignore: readonly IgnoreRule[]; holds: readonly Hold[]; nowMs: number },
  { state, admitted = [] }: DesiredObject,
  object: ObservedObject,
): JudgedUndeclared => {
  const judged: JudgedUndeclared = { added: [], dropped: [], held: [] };
  if (admitted === null) return judged;
  for (const one of findUndeclared(object.ref.kind, state, object.state)) {
    const { path, named, observed } = one;
    if (admitted.includes(named) || isIgnored(ignore, object, one)) continue;
    const owners = ownersAt(object.owners, path);
    const isOurs = owners.length > 0 && owners.every(({ manager, operation }) => manager === ourManager && operation === 'Apply');
    const manager = owners.find(({ manager: name }) => name !== ourManager)?.manager ?? owners[0]?.manager ?? '';
    const key = objectKey(object.ref);
    const kept = isHeld(holds, key, path, nowMs) || isHeld(holds, key, named, nowMs);
    const into = kept ? judged.held : isOurs ? judged.dropped : judged.added;
    into.push({ path: named, manager, observed: observed as NonNullable<FieldDrift['observed']> });
  }
  return judged;
};
