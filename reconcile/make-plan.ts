import type { Drift } from '../schema/reconcile/drift.ts';
import { objectKey, writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { Desired, Observation, ObservedObject } from '../schema/reconcile/observation.ts';
import { type ProposableOperation, passiveOperations } from '../schema/reconcile/operation.ts';
import type { Plan, PlanFault, PlanSource, PlanStep } from '../schema/reconcile/plan.ts';
import { canonicalText } from './canonical-text.ts';
import type { TargetOf } from './target-port.ts';

export type KeptState = { digest: string; state: unknown };
export type MadePlan = { ok: true; plan: Plan; kept: KeptState[] } | { ok: false; faults: PlanFault[] };

/** Make something that was not there: undone by taking it away. */
const creating: ReadonlySet<string> = new Set(['createClaim', 'startAgent']);
/**
 * What cannot be taken back: a secret that was rotated is gone, as is an agent that was drained. A rule does so only to what has run out or what
 * nobody declares, so that nothing is lost by it; of anybody else's wish that is not known.
 */
const irreversible: ReadonlySet<string> = new Set(['refreshSecret', 'rotateCredential', 'drainAgent']);
/** Effects of the moment, after which nothing is left to go back to. */
const momentary: ReadonlySet<string> = new Set([
  'restart',
  'refreshTools',
  'refetchKeys',
  'reloadPolicies',
  'rebuildRoute',
  'restoreWorkers',
]);

const undoOf = (
  operation: ProposableOperation,
  target: TargetOf,
  isOfRule: boolean,
  seen: ObservedObject | undefined,
  keep: (state: unknown) => string,
): PlanStep['undo'] => {
  const { op } = operation;
  if (passiveOperations.has(op) || momentary.has(op)) return { kind: 'nothing', stateDigest: '' };
  // in force by the row of the fix alone (`overlayDesired`)
  if (op === 'addIgnoreRule') return { kind: 'forget', stateDigest: '' };
  // brings back a controller that is declared: it stays, as it was declared
  if (op === 'reviveController') return { kind: 'nothing', stateDigest: '' };
  if (op === 'act') {
    const action = target.spec.type === 'mcp' ? target.spec.actions.find(({ name }) => name === operation.action) : undefined;
    return action?.undo === undefined
      ? { kind: 'irreversible', stateDigest: '' }
      : { kind: 'undoAct', stateDigest: keep(seen?.state ?? null) };
  }
  if (irreversible.has(op)) return { kind: isOfRule ? 'nothing' : 'irreversible', stateDigest: '' };
  if (creating.has(op) || seen === undefined) return { kind: 'remove', stateDigest: '' };
  return { kind: 'restore', stateDigest: keep(seen.state) };
};

/**
 * A plan out of operations: of each object how it must still be, how it is undone, what is to be seen. Nothing is added that the operations do
 * not say. @param digest - SHA-256 as hex of a text @param keepState - false keeps no states, so that nothing of them can be restored
 */
export const makePlan = ({
  target,
  drift,
  operations,
  source,
  evidenceDigest,
  desired,
  observation,
  digest,
  keepState = true,
}: {
  target: TargetOf;
  drift: Drift;
  operations: readonly ProposableOperation[];
  source: PlanSource;
  evidenceDigest: string;
  desired: Desired;
  observation: Observation;
  digest: (text: string) => string;
  keepState?: boolean;
}): MadePlan => {
  if (observation.status !== 'read')
    return {
      ok: false,
      faults: [{ code: 'unknown_state', step: null, message: `${target.name} cannot be read: no plan is made for what is not seen.` }],
    };
  if (operations.length === 0 || operations.length > 8)
    return { ok: false, faults: [{ code: 'bad_step_count', step: null, message: `A plan has 1 to 8 steps, not ${operations.length}.` }] };
  const seen = new Map(observation.objects.map((object) => [objectKey(object.ref), object]));
  const declared = new Map(desired.status === 'read' ? desired.objects.map((object) => [objectKey(object.ref), object]) : []);
  const kept: KeptState[] = [];
  const keep = (state: unknown): string => {
    const stateDigest = digest(canonicalText(state));
    if (!kept.some((one) => one.digest === stateDigest)) kept.push({ digest: stateDigest, state });
    return stateDigest;
  };
  const steps = operations.map((operation): PlanStep => {
    const object = seen.get(objectKey(operation.object));
    const undo = undoOf(operation, target, source.kind === 'rule', object, keep);
    const wanted = declared.get(objectKey(operation.object));
    return {
      operation,
      precondition: passiveOperations.has(operation.op)
        ? { kind: 'none' }
        : object === undefined
          ? { kind: 'absent' }
          : { kind: 'version', version: object.version, hash: object.hash, uid: object.uid },
      undo: undo.kind === 'restore' && !keepState ? { kind: 'irreversible', stateDigest: '' } : undo,
      expected: passiveOperations.has(operation.op)
        ? `${writeObjectRef(operation.object)} stays as it is.`
        : `${writeObjectRef(drift.object)}: the fault is gone and what is around it is healthy.`.slice(0, 1000),
      deadlineSeconds: operation.op === 'wait' ? operation.seconds : target.spec.verification.timeoutSeconds,
      ...(wanted === undefined ? {} : { declaredDigest: digest(canonicalText(wanted.state)) }),
    };
  });
  const { org, project, name, generation } = target;
  const { fingerprint, faultKind } = drift;
  return {
    ok: true,
    plan: { org, project, target: name, generation, fingerprint, faultKind, evidenceDigest, source, steps },
    kept: keepState ? kept : [],
  };
};
