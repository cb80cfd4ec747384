import { type ObjectRef, objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired, DesiredObject, Observation, ObservedObject } from '../schema/reconcile/observation.ts';
import type { ProposableOperation } from '../schema/reconcile/operation.ts';
import type { PlanSource, PlanStep } from '../schema/reconcile/plan.ts';
import type { IgnoreRule } from '../schema/resources/reconcile-target.ts';
import { canonicalText } from './canonical-text.ts';
import { compareState, pointerAcross } from './compare-state.ts';
import { type EditOperation, editObject, isEdit } from './edit-object.ts';
import { isEqualJson } from './json-pointer.ts';
import type { PastFix } from './past-fix.ts';
import type { TargetOf } from './target-port.ts';

/** Something that is other than declared because a verified fix made it so. `paths` are those of the observed object; empty for all of it. */
export type AcceptedDeviation = {
  fixId: string;
  object: ObjectRef;
  operation: ProposableOperation;
  paths: string[];
  by: PlanSource['kind'];
  sinceAt: string;
};
/**
 * What a target is held against instead of its bare declaration.
 * @property effective - the declaration with the deviations in it: for `diffTarget` alone; plans are checked against the declaration itself
 * @property target - the target with ignore rules that people accepted, and with the fields that `reapply` leaves
 */
export type Overlay = { effective: Desired; target: TargetOf; accepted: AcceptedDeviation[] };

const standing: ReadonlySet<PastFix['state']> = new Set(['applying', 'verifying', 'fixed']);
type Step = { fix: PastFix; step: PlanStep };

/** Whether an object is as an operation made it: doing it again would change nothing. A person who takes it back ends it thereby. */
const isInForce = (operation: EditOperation, seen: ObservedObject): boolean => {
  const edited = editObject(seen.state, operation, '');
  return edited.ok && isEqualJson(edited.wanted, seen.state);
};

/** A declared state with what an operation did to the object that is there. */
const edit = (state: DesiredObject['state'], operation: EditOperation, seen: ObservedObject): DesiredObject['state'] => {
  const path = operation.op === 'patchField' ? pointerAcross(seen.state, state, operation.path) : '';
  if (path === undefined) return state;
  const edited = editObject(state, operation.op === 'patchField' ? { ...operation, path } : operation, '');
  return edited.ok ? edited.wanted : state;
};

const pathsOf = (desired: unknown, seen: ObservedObject): string[] => compareState(desired, seen.state).map(({ path }) => path);

/**
 * What verified fixes made other than it was declared, and stays so: else the next look would undo them. A deviation stands while its fix is
 * `fixed` (or on its way there), the object is still as the fix made it, and what is declared of it has not changed since: the same generation
 * of the target, or the same declared object in another. Whoever declares anew, or takes it back by hand, ends it.
 * @param digest - SHA-256 as hex of a text, as `makePlan` had it
 * @param fixes - attempts that may stand, however old
 */
export const overlayDesired = ({
  target,
  desired,
  observation,
  fixes,
  digest,
}: {
  target: TargetOf;
  desired: Desired;
  observation: Observation;
  fixes: readonly PastFix[];
  digest: (text: string) => string;
}): Overlay => {
  if (desired.status !== 'read' || observation.status !== 'read') return { effective: desired, target, accepted: [] };
  const steps = fixes
    .filter(({ state }) => standing.has(state))
    .toSorted((one, other) => Date.parse(one.beganAt) - Date.parse(other.beganAt))
    .flatMap((fix) => (fix.plan?.steps ?? []).map((step): Step => ({ fix, step })));
  const seen = new Map(observation.objects.map((object) => [objectKey(object.ref), object]));
  const accepted: AcceptedDeviation[] = [];
  const accept = ({ fix, step: { operation } }: Step, paths: string[]): void => {
    const { source } = fix.plan as NonNullable<PastFix['plan']>;
    accepted.push({ fixId: fix.id, object: operation.object, operation, paths, by: source.kind, sinceAt: fix.endedAt ?? fix.beganAt });
  };
  const isOfDeclaration = ({ fix, step }: Step, state: unknown): boolean =>
    fix.plan?.generation === target.generation || step.declaredDigest === digest(canonicalText(state));

  const objects = desired.objects.map((declared): DesiredObject => {
    const object = seen.get(objectKey(declared.ref));
    if (object === undefined) return declared;
    let { state } = declared;
    for (const one of steps) {
      const { operation } = one.step;
      if (objectKey(operation.object) !== objectKey(declared.ref) || !isEdit(operation)) continue;
      if (!isOfDeclaration(one, declared.state) || !isInForce(operation, object)) continue;
      const before = pathsOf(state, object);
      const edited = edit(state, operation, object);
      const after = new Set(pathsOf(edited, object));
      const paths = before.filter((path) => !after.has(path));
      if (paths.length === 0) continue;
      state = edited;
      accept(one, paths);
    }
    return { ...declared, state };
  });

  const ignore: IgnoreRule[] = [];
  for (const one of steps) {
    const { operation } = one.step;
    const declared = desired.objects.find(({ ref }) => objectKey(ref) === objectKey(operation.object));
    if (operation.op === 'addIgnoreRule' && declared !== undefined && isOfDeclaration(one, declared.state)) {
      const { object, path, manager } = operation;
      ignore.push({ object, path, ...(manager === undefined ? {} : { manager }), reason: `accepted by fix ${one.fix.id}` });
      accept(one, [path]);
    }
    // a claim that a fix made is ours and not declared: it holds data, and is no leftover
    const old =
      operation.op === 'createClaim' &&
      desired.objects.find(({ ref }) => objectKey(ref) === objectKey({ ...operation.object, name: operation.copyFrom }));
    const isDeclared = objects.some(({ ref }) => objectKey(ref) === objectKey(operation.object));
    if (old && !isDeclared && seen.has(objectKey(operation.object))) {
      objects.push({ ref: operation.object, state: {}, wave: old.wave });
      accept(one, []);
    }
  }
  const left = accepted
    .filter(({ operation }) => isEdit(operation))
    .flatMap(({ object, paths }) => paths.map((path) => ({ object: objectKey(object), path })));
  return {
    effective: { ...desired, objects },
    target: { ...target, spec: { ...target.spec, ignore: [...target.spec.ignore, ...ignore] }, accepted: left },
    accepted,
  };
};
