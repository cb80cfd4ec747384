import { objectKey } from '../../schema/reconcile/object-ref.ts';
import { type ProposableOperation, passiveOperations } from '../../schema/reconcile/operation.ts';
import type { PlanStep } from '../../schema/reconcile/plan.ts';
import { isHeld, whyLeft } from '../field-ownership.ts';
import type { CheckFacts, Fault } from './check-facts.ts';
import { containerPointer } from './check-facts.ts';
import { checkValues } from './check-values.ts';
import { operationHomes } from './operation-homes.ts';

const fault = (code: string, message: string): Fault => ({ code, message });

const checkObject = (operation: ProposableOperation, { target: { spec }, declared, seen }: CheckFacts): Fault => {
  const { op, object } = operation;
  const home = operationHomes[op];
  if (home !== 'any' && home !== spec.type) return fault('wrong_target_type', `${op} means nothing in a target of type ${spec.type}.`);
  if (spec.type === 'kubernetes') {
    if (object.namespace === '') return fault('cluster_object', `${object.kind} ${object.name} belongs to the whole cluster.`);
    if (![spec.namespace, ...spec.namespaces].includes(object.namespace))
      return fault('foreign_namespace', `${object.namespace} is no namespace of this target.`);
  }
  // these two name what is not declared by itself, and are held against it by their own checks
  if (op === 'refreshSecret' || op === 'createClaim') return undefined;
  return declared(object) !== undefined || seen(object)?.isOurs === true
    ? undefined
    : fault('unknown_object', `${object.kind} ${object.name} is not of this target.`);
};

/** Fields that an operation writes, as pointers into the observed state; none where it writes none of them. */
const writtenFields = (operation: ProposableOperation, state: unknown): string[] => {
  const of = (container: string, ...rest: string[]): string[] => {
    const at = containerPointer(state, container);
    return at === undefined ? [] : rest.map((part) => `${at}/${part}`);
  };
  switch (operation.op) {
    case 'patchField':
      return [operation.path];
    case 'scale':
      return ['/spec/replicas'];
    case 'setImage':
      return of(operation.container, 'image');
    case 'setResources':
      return of(
        operation.container,
        ...(operation.memoryLimit === undefined ? [] : ['resources/limits/memory']),
        ...(operation.cpuLimit === undefined ? [] : ['resources/limits/cpu']),
      );
    case 'setProbe':
      return of(operation.container, `${operation.probe}Probe`);
    default:
      return [];
  }
};

/** Held, ignored, autoscaled and other appliers' fields are not ours to write. `reapply` leaves them out by itself, in the adapter. */
const checkOwnership = (operation: ProposableOperation, { target, observation, holds, nowMs, seen }: CheckFacts): Fault => {
  const { object } = operation;
  const key = objectKey(object);
  const isWhole = holds.some((hold) => hold.path === '' && isHeld([hold], key, '', nowMs));
  if (isWhole && !passiveOperations.has(operation.op))
    return fault('held', `People hold ${object.name}: it is left alone until they are done.`);
  const observed = seen(object);
  if (observed === undefined) return undefined;
  for (const path of writtenFields(operation, observed.state)) {
    const why = whyLeft(target.spec.ignore, holds, observation, observed, path, nowMs);
    if (why !== undefined)
      return fault(why === 'owned' ? 'owned_by_other' : why, `${path} of ${object.name} is not ours to write (${why}).`);
  }
  return undefined;
};

const checkPrecondition = ({ operation, precondition }: PlanStep, { seen }: CheckFacts): Fault => {
  if (passiveOperations.has(operation.op)) return undefined;
  const object = seen(operation.object);
  if (object?.unreadable !== undefined)
    return fault('unknown_state', `${operation.object.name} cannot be read, so that nothing could be put back: ${object.unreadable}`);
  const holds =
    precondition.kind === 'version'
      ? object !== undefined && object.uid === precondition.uid && object.hash === precondition.hash
      : precondition.kind === 'absent' && object === undefined;
  return holds
    ? undefined
    : fault('stale_precondition', `${operation.object.name} is not as it was when the plan was made, or the step does not say how it was.`);
};

/** The first thing that speaks against a step. */
export const checkStep = (step: PlanStep, facts: CheckFacts): Fault =>
  checkObject(step.operation, facts) ??
  checkOwnership(step.operation, facts) ??
  checkValues(step.operation, facts) ??
  checkPrecondition(step, facts);
