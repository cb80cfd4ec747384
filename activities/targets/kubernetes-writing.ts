import { editObject } from '../../reconcile/edit-object.ts';
import { type ObjectRef, objectKey } from '../../schema/reconcile/object-ref.ts';
import type { KubernetesOperation, Operation } from '../../schema/reconcile/operation.ts';
import type { Precondition } from '../../schema/reconcile/plan.ts';
import type { SecretSources } from '../../store/secrets/references.ts';
import type { KubernetesObject } from './kubernetes-client.ts';
import type { KubernetesConnection, KubernetesTarget } from './kubernetes-connection.ts';
import type { KubernetesDesired } from './kubernetes-desired.ts';
import { differences } from './kubernetes-difference.ts';
import { appliedBy } from './kubernetes-fields.ts';
import { type Declared, declaredOf, fillSecret, finalizerAnnotation, namespacesOf } from './kubernetes-manifests.ts';
import { createOwnership } from './kubernetes-ownership.ts';
import { reapplyWriting } from './kubernetes-reapply.ts';
import { removalWriting } from './kubernetes-removal.ts';
import { remakeWriting, restoreWriting } from './kubernetes-restore.ts';
import { fieldManager, stateOf, targetLabel, targetLabelOf } from './kubernetes-state.ts';
import { applyTo, deletion, notWritten, type Writing, writingOf } from './kubernetes-write.ts';

export type WritingContext = {
  connection: KubernetesConnection;
  operationId: string;
  /** How it has to be; absent where it is only asked what would be done. */
  precondition?: Precondition;
  readState: (digest: string) => Promise<unknown>;
  signal: AbortSignal;
};

/** Whether we made an object: it carries the label of the target, and we have applied it. A label alone could be copied. */
export const isMadeBy = (target: KubernetesTarget, object: KubernetesObject): boolean =>
  object.metadata.labels?.[targetLabel] === targetLabelOf(target) && Object.keys(appliedBy(object, fieldManager)).length > 0;

const missing = notWritten('precondition', 'it is not there');

const find = (target: KubernetesTarget, matches: (one: Declared) => boolean): Declared | undefined => {
  const set = declaredOf(target);
  return set.ok ? set.declared.find(matches) : undefined;
};

/** Which object an operation writes: the one it names, or the controller that a stuck one waits for. */
export const writtenRef = (target: KubernetesTarget, operation: Operation): ObjectRef => {
  if (operation.op !== 'reviveController') return operation.object;
  const serves = ({ manifest }: Declared) => manifest.metadata.annotations?.[finalizerAnnotation] === operation.finalizer;
  return find(target, serves)?.ref ?? operation.object;
};

/** What each operation comes to, of the object as it is now. Nothing is written here. */
export const createWritings = ({ desired, secrets }: { desired: KubernetesDesired; secrets: SecretSources }) => {
  const reapply = async (
    target: KubernetesTarget,
    ref: ObjectRef,
    live: KubernetesObject | undefined,
    context: WritingContext,
  ): Promise<Writing> => {
    const declared = find(target, (one) => objectKey(one.ref) === objectKey(ref));
    if (!declared) return notWritten('invalid', 'it is not declared');
    const normal = await desired.normalise(context.connection, declared, context.signal);
    const whole = ref.kind === 'Secret' ? await fillSecret(target, normal, secrets) : ({ ok: true, manifest: normal } as const);
    if (!whole.ok) return notWritten('invalid', whole.message);
    // what a verified fix made other than declared is left, as what people hold
    const left = { ...target, holds: [...(target.holds ?? []), ...(target.accepted ?? [])] };
    return reapplyWriting(live, whole.manifest, context.operationId, (object) => createOwnership(left, ref, object));
  };

  const prune = (target: KubernetesTarget, ref: ObjectRef, live: KubernetesObject | undefined): Writing => {
    if (!live) return { kind: 'nothing' };
    const set = declaredOf(target);
    if (!set.ok) return notWritten('refused', `nothing is deleted while the manifests cannot be read: ${set.message}`);
    if (!target.spec.prune) return notWritten('refused', 'the target does not prune');
    if (set.declared.some((one) => objectKey(one.ref) === objectKey(ref))) return notWritten('refused', 'it is declared');
    if (!isMadeBy(target, live)) return notWritten('refused', 'we did not make it');
    return { kind: 'write', write: deletion(live), changes: [{ path: '', before: stateOf(live) }] };
  };

  const remove = (uid: string, live: KubernetesObject | undefined): Writing => {
    if (!live) return { kind: 'nothing' };
    if (live.metadata.uid !== uid) return notWritten('precondition', 'it is not the one that we made');
    return { kind: 'write', write: deletion(live), changes: [{ path: '', before: stateOf(live) }] };
  };

  const createClaim = async (
    { object, storageClass, size, copyFrom }: Extract<KubernetesOperation, { op: 'createClaim' }>,
    live: KubernetesObject | undefined,
    { connection: { client, resources }, operationId, signal }: WritingContext,
  ): Promise<Writing> => {
    if (live) return notWritten('precondition', 'a claim of this name is there');
    const old = await client.send({ path: await resources.path({ ...object, name: copyFrom }, signal), signal });
    const claim = {
      apiVersion: object.apiVersion,
      kind: object.kind,
      metadata: { name: object.name, namespace: object.namespace },
      spec: {
        accessModes: old.spec.accessModes,
        volumeMode: old.spec.volumeMode,
        storageClassName: storageClass,
        resources: { requests: { storage: size } },
        dataSource: { kind: 'PersistentVolumeClaim', name: copyFrom },
      },
    };
    return { kind: 'write', write: applyTo(claim, operationId), changes: [{ path: '', after: claim }] };
  };

  const edit = (
    target: KubernetesTarget,
    operation: Parameters<typeof editObject>[1],
    live: KubernetesObject | undefined,
    operationId: string,
  ): Writing => {
    if (!live) return missing;
    const edited = editObject(live, operation, operationId);
    if (!edited.ok) return notWritten('invalid', edited.message);
    const { whyLeft } = createOwnership(target, operation.object, live);
    const left = differences(live, edited.wanted).find(({ path }) => whyLeft(path) !== undefined);
    if (left) return notWritten('conflict', `${left.path} is ${whyLeft(left.path)}, and not ours to change`);
    return writingOf(live, edited.wanted, operationId);
  };

  return async (
    target: KubernetesTarget,
    operation: Operation,
    live: KubernetesObject | undefined,
    context: WritingContext,
  ): Promise<Writing> => {
    const ref = writtenRef(target, operation);
    if (!namespacesOf(target).includes(ref.namespace))
      return notWritten('refused', `it lies outside the target's namespaces (${namespacesOf(target).join(', ')})`);
    switch (operation.op) {
      case 'reapply':
      case 'refreshSecret':
        return reapply(target, ref, live, context);
      case 'reviveController':
        if (objectKey(ref) === objectKey(operation.object))
          return notWritten(
            'invalid',
            `no manifest is annotated \`${finalizerAnnotation}: ${operation.finalizer}\`, so nobody knows what serves it`,
          );
        return reapply(target, ref, live, context);
      case 'prune':
        return prune(target, ref, live);
      case 'remove':
        return remove(operation.uid, live);
      case 'restore': {
        // of what is gone the plan says that we deleted it; what somebody else deleted stays so
        if (!live && context.precondition?.kind !== 'absent') return missing;
        const { operationId } = context;
        const kept = await context.readState(operation.stateDigest);
        return live ? restoreWriting(live, kept, operationId, createOwnership(target, ref, live)) : remakeWriting(kept, operationId);
      }
      case 'createClaim':
        return createClaim(operation, live, context);
      case 'removeUndeclared':
        if (!live) return missing;
        return removalWriting(live, operation.paths, context.operationId, createOwnership(target, ref, live));
      case 'setImage':
      case 'patchField':
      case 'scale':
      case 'restart':
      case 'setResources':
      case 'setProbe':
      case 'setSecretKey':
      case 'addEgressRule':
      case 'addRoleRule':
        return edit(target, operation, live, context.operationId);
      case 'wait':
      case 'askOwner':
      case 'nothing':
        return { kind: 'nothing' };
      default:
        return notWritten('invalid', `\`${operation.op}\` is no operation on a cluster`);
    }
  };
};
export type Writings = ReturnType<typeof createWritings>;
