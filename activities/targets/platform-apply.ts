import { kindsOf } from '../../reconcile/check/check-platform.ts';
import type { ApplyContext } from '../../reconcile/target-port.ts';
import { isPlatformError } from '../../schema/errors.ts';
import { type ObjectRef, objectKey } from '../../schema/reconcile/object-ref.ts';
import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import type { Operation } from '../../schema/reconcile/operation.ts';
import type { DryRun, Precondition, StepOutcome } from '../../schema/reconcile/plan.ts';
import { createAgentDeeds } from './platform-agent-deeds.ts';
import { type Deed, NothingSaid, type PlatformContext, PlatformRefusal, type PlatformTarget, type WatchItem } from './platform-context.ts';
import { createDeclaredDeeds } from './platform-declared-deeds.ts';
import { goneObject, type PlatformParts } from './platform-observe.ts';
import { createOrderDeeds } from './platform-order-deeds.ts';
import { createPinDeeds } from './platform-pin-deeds.ts';
import { createRateDeeds } from './platform-rate-deeds.ts';

const partOf: Readonly<Record<string, WatchItem>> = {
  McpServer: 'servers',
  Toolset: 'toolsets',
  Tool: 'pins',
  Prompt: 'pins',
  ResourceTemplate: 'pins',
  PolicyBundle: 'policies',
  SigningKeys: 'keys',
  Agent: 'runs',
  Worker: 'workers',
};

const isMet = (precondition: Precondition, seen: ObservedObject | undefined): boolean => {
  if (precondition.kind === 'none') return true;
  if (precondition.kind === 'absent') return seen === undefined;
  return precondition.hash === (seen?.hash ?? '');
};

/** Does operations on this installation, and says what they would do. */
export const createPlatformApply = (context: PlatformContext, parts: PlatformParts) => {
  const order = createOrderDeeds(context);
  const pins = createPinDeeds(context);
  const declared = createDeclaredDeeds(context);
  const agents = createAgentDeeds(context);
  const rates = createRateDeeds(context);

  /** Undoes whichever of the two was done to an agent: it is held as it was before, and goes on where it was suspended. */
  const restoreAgent = async (target: PlatformTarget, object: ObjectRef, state: unknown): Promise<Deed> => {
    // one that was well was not looked at, so nothing was kept of it: then it was not held either
    const both = [await rates.restore(target, object, state ?? {}), await agents.restore(target, object)];
    return {
      changes: both.flatMap(({ changes }) => changes),
      isBegun: async (operationId) => (await Promise.all(both.map((deed) => deed.isBegun(operationId)))).every(Boolean),
      run: async (applying) => {
        const did = [];
        for (const deed of both) did.push(await deed.run(applying));
        return did.includes('done') ? 'done' : 'unchanged';
      },
    };
  };

  const deedOf = async (target: PlatformTarget, operation: Operation, readState: ApplyContext['readState']): Promise<Deed> => {
    const { object, op } = operation;
    const kinds = op === 'remove' || op === 'restore' || op === 'undoAct' ? undefined : kindsOf(op);
    // the same bounds as the check of a plan: whoever comes here without one is held to them too
    if (kinds?.includes(object.kind) === false)
      throw new PlatformRefusal('invalid', `${op} is for ${kinds.join(' or ')}, not for a ${object.kind}.`);
    switch (operation.op) {
      case 'refreshTools':
      case 'rebuildRoute':
      case 'reloadPolicies':
      case 'refetchKeys':
      case 'restoreWorkers':
      case 'rotateCredential':
        return order(target, operation);
      case 'limitRate':
        return rates.limit(target, object, operation.callsPerMinute);
      case 'quarantineTool':
        return pins.quarantine(target, object);
      case 'prefixNames':
        return declared.prefixNames(target, object);
      case 'restorePolicies':
        return declared.restorePolicies(target, operation.revision);
      case 'startAgent':
        return agents.start(target, object);
      case 'drainAgent':
        return agents.drain(target, object);
      case 'suspendAgent':
        return agents.suspend(target, object);
      case 'remove':
        if (object.kind === 'Agent') return agents.remove(target, object);
        break;
      case 'restore':
        if (object.kind === 'Agent') return restoreAgent(target, object, await readState(operation.stateDigest));
        if (object.kind === 'McpServer') return rates.restore(target, object, await readState(operation.stateDigest));
        if (partOf[object.kind] === 'pins') return pins.restore(target, object, await readState(operation.stateDigest));
        return declared.restore(target, object, await readState(operation.stateDigest));
    }
    throw new PlatformRefusal('invalid', `${op} of ${object.kind} ${object.name}: it has no meaning for this installation.`);
  };

  /** The thing as it is now; where it was there and is no more, as something that is gone. */
  const see = async ({ org, project }: PlatformTarget, object: ObjectRef, signal: AbortSignal, uid?: string) => {
    const item = partOf[object.kind];
    if (!item) throw new PlatformRefusal('invalid', `There is no ${object.kind} on this installation.`);
    const found = (await parts[item].see({ org, project }, signal)).find(({ ref }) => objectKey(ref) === objectKey(object));
    return found ?? (uid === undefined ? undefined : goneObject(object, uid));
  };

  const tryIt = async (target: PlatformTarget, operation: Operation, applying: ApplyContext): Promise<StepOutcome> => {
    const { operationId, isRetry = false, precondition, holdsFence, readState, signal } = applying;
    const { object } = operation;
    const uid = precondition.kind === 'version' ? precondition.uid : undefined;
    const before = await see(target, object, signal, uid);
    const deed = await deedOf(target, operation, readState);
    const isBegun = await deed.isBegun(operationId);
    if (!isMet(precondition, before) && !isBegun)
      throw new PlatformRefusal('precondition', `${object.kind} ${object.name} is not as it was when the plan was made.`);
    if (!(await holdsFence())) return { kind: 'failed', reason: 'fenced', message: 'a later holder has taken the target' };
    const did = await deed.run(applying);
    const at = context.now().toISOString();
    if (did === 'unchanged' && !(isRetry && isBegun)) return { kind: 'unchanged', at };
    const after = (await see(target, object, signal, before?.uid ?? uid)) ?? goneObject(object, uid ?? '');
    return { kind: 'applied', version: after.version, hash: after.hash, uid: after.uid, at };
  };

  const refusalOf = (error: unknown): { reason: PlatformRefusal['reason'] | 'unreachable'; message: string } => {
    if (error instanceof PlatformRefusal || error instanceof NothingSaid)
      return { reason: error instanceof PlatformRefusal ? error.reason : 'unreachable', message: error.message };
    if (isPlatformError(error)) return { reason: 'unreachable', message: error.detail };
    // Temporal and the database do not say whether what was sent had an effect
    return { reason: 'unreachable', message: 'a part of the platform does not answer' };
  };

  return {
    apply: async (target: PlatformTarget, operation: Operation, applying: ApplyContext): Promise<StepOutcome> => {
      applying.signal.throwIfAborted();
      try {
        return await tryIt(target, operation, applying);
      } catch (error) {
        applying.signal.throwIfAborted();
        const { reason, message } = refusalOf(error);
        return reason === 'unreachable' || reason === 'unknown' ? { kind: 'unknown', message } : { kind: 'failed', reason, message };
      }
    },

    dryRun: async (target: PlatformTarget, operation: Operation, signal: AbortSignal): Promise<DryRun> => {
      try {
        await see(target, operation.object, signal);
        const { changes } = await deedOf(target, operation, async () => undefined);
        return { ok: true, diff: changes };
      } catch (error) {
        signal.throwIfAborted();
        const { reason, message } = refusalOf(error);
        if (reason === 'unknown' || reason === 'unreachable') return { ok: false, reason: 'unreachable', message };
        return { ok: false, reason: reason === 'precondition' ? 'changed' : reason, message };
      }
    },
  };
};
