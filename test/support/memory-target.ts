import { differences } from '../../activities/targets/kubernetes-difference.ts';
import { rewrittenFields, withoutFields } from '../../reconcile/rewritten-fields.ts';
import type { ApplyContext, TargetOf, TargetPort } from '../../reconcile/target-port.ts';
import { type ObjectRef, objectKey } from '../../schema/reconcile/object-ref.ts';
import type { Desired, DesiredObject, Observation, ObservedObject } from '../../schema/reconcile/observation.ts';
import type { Operation } from '../../schema/reconcile/operation.ts';
import type { DryRun, StepOutcome } from '../../schema/reconcile/plan.ts';
import type { Manifest, TargetSpecOf } from '../../schema/resources/reconcile-target.ts';
import { hashOf, type MemoryWorld, type State } from './memory-world.ts';

type Target = TargetOf<TargetSpecOf<'kubernetes'>>;
const ours = 'quarterdeck';

const refOf = ({ namespace }: Target['spec'], { apiVersion, kind, metadata }: Manifest): ObjectRef => ({
  ...{ apiVersion, kind, name: metadata.name },
  namespace: metadata.namespace ?? namespace,
});
const declaredOf = ({ spec }: Target): DesiredObject[] =>
  spec.manifests.map((manifest) => ({
    ref: refOf(spec, manifest),
    state: { ...manifest, metadata: { ...manifest.metadata, namespace: manifest.metadata.namespace ?? spec.namespace } } as State,
    wave: Number((manifest.metadata as State).annotations?.['quarterdeck.dev/wave'] ?? 0),
  }));

const unmet = (
  { precondition, rewritten }: Pick<ApplyContext, 'precondition' | 'rewritten'>,
  live: ObservedObject | undefined,
): string | undefined => {
  if (precondition.kind === 'none') return undefined;
  if (precondition.kind === 'absent') return live ? 'it is there now' : undefined;
  if (!live) return 'it is no longer there';
  if (live.uid !== precondition.uid) return 'it was made anew since';
  const isAsLeft = rewritten !== undefined && hashOf(withoutFields(live.state, rewritten.paths)) === rewritten.hash;
  return isAsLeft || live.version === precondition.version || live.hash === precondition.hash ? undefined : 'somebody changed it since';
};

const setAt = (state: State, pointer: string, value: unknown): void => {
  const parts = pointer.split('/').slice(1);
  const last = parts.pop() as string;
  let at = state;
  for (const part of parts) at = at[part] ??= {};
  at[last] = value;
};

type Change = { kind: 'to'; state: State } | { kind: 'gone' } | { kind: 'nothing' } | { kind: 'not'; reason: 'invalid' | 'refused' };

/** What an operation makes of a thing. */
const changeOf = (target: Target, operation: Operation, live: ObservedObject | undefined, kept: unknown): Change => {
  const state: State = structuredClone(live?.state ?? {});
  const container = (name: string): State => state.spec?.template?.spec?.containers?.find((one: State) => one.name === name);
  switch (operation.op) {
    case 'reapply': {
      const declared = declaredOf(target).find(({ ref }) => objectKey(ref) === objectKey(operation.object));
      return declared ? { kind: 'to', state: structuredClone(declared.state) } : { kind: 'not', reason: 'invalid' };
    }
    case 'restore':
      return kept === undefined || kept === null ? { kind: 'not', reason: 'invalid' } : { kind: 'to', state: structuredClone(kept) };
    case 'remove':
    case 'prune':
      return live ? { kind: 'gone' } : { kind: 'nothing' };
    case 'scale':
      setAt(state, '/spec/replicas', operation.replicas);
      return { kind: 'to', state };
    case 'restart':
      setAt(state, '/spec/restarts', (state.spec?.restarts ?? 0) + 1);
      return { kind: 'to', state };
    case 'patchField':
      setAt(state, operation.path, operation.value);
      return { kind: 'to', state };
    case 'removeUndeclared': {
      const named = operation.paths.flatMap((path) => /^\/spec\/template\/spec\/containers\/([^/]+)$/.exec(path)?.[1] ?? []);
      const pod = state.spec.template.spec;
      pod.containers = pod.containers.filter(({ name }: { name: string }) => !named.includes(name));
      return { kind: 'to', state };
    }
    case 'setImage': {
      const found = container(operation.container);
      if (!found) return { kind: 'not', reason: 'invalid' };
      found.image = operation.image;
      return { kind: 'to', state };
    }
    case 'setResources': {
      const found = container(operation.container);
      if (!found) return { kind: 'not', reason: 'invalid' };
      if (operation.memoryLimit) setAt(found, '/resources/limits/memory', operation.memoryLimit);
      return { kind: 'to', state };
    }
    case 'wait':
    case 'askOwner':
    case 'nothing':
      return { kind: 'nothing' };
    default:
      return { kind: 'not', reason: 'invalid' };
  }
};

/**
 * A target over a world in memory, which keeps what `TargetPort` promises: what cannot be read is `unknown`, a write holds its precondition and
 * its fence, and one operation id has one effect.
 * @param options.now - instants as they are written
 */
export const createMemoryTarget = (world: MemoryWorld, { now = () => new Date() } = {}): TargetPort<'kubernetes'> => {
  const failed = (reason: Extract<StepOutcome, { kind: 'failed' }>['reason'], message: string): StepOutcome => ({
    kind: 'failed',
    reason,
    message,
  });
  const appliedTo = ({ version, hash, uid }: ObservedObject): StepOutcome => ({
    kind: 'applied',
    version,
    hash,
    uid,
    at: now().toISOString(),
  });
  const gone: Extract<StepOutcome, { kind: 'applied' }> = { kind: 'applied', version: '', hash: '', uid: '', at: '' };

  const apply = async (target: Target, operation: Operation, context: ApplyContext): Promise<StepOutcome> => {
    const { operationId, isRetry = false, holdsFence, readState } = context;
    const live = world.find(operation.object);
    // what is gone bears no mark of who took it away
    const takesAway = operation.op === 'prune' || operation.op === 'remove';
    if (takesAway && !live) return isRetry ? { ...gone, at: now().toISOString() } : { kind: 'unchanged', at: now().toISOString() };
    const known = world.done.get(operationId);
    if (known) return known;
    const fault = unmet(context, live);
    if (fault) return failed('precondition', fault);
    const refused = world.faults.refuse?.(operationId);
    if (refused) return refused;
    if (operation.op === 'remove' && live && live.uid !== operation.uid) return failed('precondition', 'it is not the one that we made');
    const kept = operation.op === 'restore' ? await readState(operation.stateDigest) : undefined;
    const change = changeOf(target, operation, live, kept);
    if (change.kind === 'nothing') return { kind: 'unchanged', at: now().toISOString() };
    if (change.kind === 'not') return failed(change.reason, `\`${operation.op}\` cannot be done to it`);
    if (change.kind === 'to' && live && hashOf(change.state) === live.hash) return { kind: 'unchanged', at: now().toISOString() };
    if (!(await holdsFence())) return failed('fenced', 'a later holder has taken the target');
    await world.faults.apply?.('before', operationId);
    // from here to the end of the effect nothing is awaited: as in a system that decides by itself
    if (world.done.has(operationId)) return world.done.get(operationId) as StepOutcome;
    const nowLive = world.find(operation.object);
    if (nowLive?.version !== live?.version) return failed('precondition', 'somebody changed it at the same moment');
    let outcome: StepOutcome;
    if (change.kind === 'gone') {
      world.remove(operation.object);
      outcome = { ...gone, at: now().toISOString() } as StepOutcome;
    } else {
      world.put(operation.object, change.state, { manager: ours, isOurs: true });
      const after = world.find(operation.object) as ObservedObject;
      const rewritten = live && rewrittenFields(differences(live.state as State, change.state), after.state, hashOf);
      outcome = { ...appliedTo(after), ...(rewritten ? { rewritten } : {}) };
    }
    world.effects.push(operationId);
    world.done.set(operationId, outcome);
    await world.faults.apply?.('after', operationId);
    return outcome;
  };

  return {
    type: 'kubernetes',
    desired: async (target): Promise<Desired> => {
      const objects = declaredOf(target);
      return { status: 'read', objects, digest: hashOf(objects) };
    },
    observe: async (target): Promise<Observation> => {
      world.reads.observe += 1;
      if (world.faults.isAway) return { status: 'unknown', at: now().toISOString(), reason: 'unreachable', message: 'it is away' };
      const instead = world.faults.observe?.();
      if (instead) return instead;
      const declared = new Set(declaredOf(target).map(({ ref }) => objectKey(ref)));
      const all = world.list();
      const isSubject = ({ ref, isOurs }: ObservedObject): boolean => declared.has(objectKey(ref)) || isOurs;
      return {
        ...{ status: 'read', at: now().toISOString(), objects: all.filter(isSubject) },
        neighbours: [...all.filter((one) => !isSubject(one)), ...world.neighbours.values()],
      };
    },
    watch: () => undefined,
    dryRun: async (target, operation): Promise<DryRun> => {
      world.reads.dryRun += 1;
      if (world.faults.isAway) return { ok: false, reason: 'unreachable', message: 'it is away' };
      const refused = world.faults.refuse?.('dry-run');
      if (refused)
        return {
          ok: false,
          reason: refused.reason === 'fenced' || refused.reason === 'precondition' ? 'changed' : refused.reason,
          message: refused.message,
        };
      const live = world.find(operation.object);
      const change = changeOf(target, operation, live, {});
      if (change.kind === 'not') return { ok: false, reason: change.reason, message: `\`${operation.op}\` cannot be done to it` };
      if (change.kind === 'nothing') return { ok: true, diff: [] };
      const after = change.kind === 'to' ? change.state : undefined;
      return { ok: true, diff: [{ path: '', ...(live ? { before: live.state } : {}), ...(after ? { after } : {}) }] };
    },
    apply: async (target, operation, context) => {
      context.signal.throwIfAborted();
      if (world.faults.isAway) return { kind: 'unknown', message: 'it is away' };
      try {
        return await apply(target, operation, context);
      } catch (error) {
        context.signal.throwIfAborted();
        return { kind: 'unknown', message: (error as Error).message };
      }
    },
  };
};
