import type { KubernetesObject } from './kubernetes-client.ts';
import type { FieldChange } from './kubernetes-difference.ts';
import { differences } from './kubernetes-difference.ts';
import { appliedBy, pointersOf, touches } from './kubernetes-fields.ts';
import { mergeDeclared } from './kubernetes-merge.ts';
import type { Ownership } from './kubernetes-ownership.ts';
import { appliedAnnotation, fieldManager, operationAnnotation, stateOf } from './kubernetes-state.ts';
import { applyTo, notWritten, patchTo, type Writing } from './kubernetes-write.ts';

/** What stands on an object whose first of two writes was done. */
export const halfDone = (operationId: string): string => `${operationId}/1`;

/** Fields that we declared once and declare no more. Without the marks that stand for nothing declared. */
const surplusOf = (live: KubernetesObject, pointers: readonly string[]): string[] =>
  pointersOf(appliedBy(live, fieldManager), live).filter(
    (pointer) => !pointer.endsWith(appliedAnnotation.replace('/', '~1')) && !pointers.some((declared) => touches(declared, pointer)),
  );

/**
 * Makes an object what was declared: by server-side apply without force. Fields that somebody wrote by hand meanwhile are put back first,
 * by a patch of these fields alone; fields that are ignored, held, autoscaled or declared by another applier keep what they have.
 */
export const reapplyWriting = (
  live: KubernetesObject | undefined,
  declared: KubernetesObject,
  operationId: string,
  ownershipOf: (live: KubernetesObject) => Ownership,
): Writing => {
  if (!live)
    return {
      kind: 'write',
      write: applyTo(declared, operationId),
      changes: [{ path: '', after: stateOf(declared) } satisfies FieldChange],
    };
  if (live.metadata.deletionTimestamp) return notWritten('refused', 'it is being deleted; it is made anew once it is gone');

  const mergeOf = (object: KubernetesObject) => {
    const { whyLeft } = ownershipOf(object);
    const applied = pointersOf(appliedBy(object, fieldManager), object);
    return mergeDeclared(object, declared, {
      isLeft: (pointer) => whyLeft(pointer) !== undefined,
      isApplied: (pointer) => applied.some((path) => touches(path, pointer)),
    });
  };
  const ownership = ownershipOf(live);
  const { merged, body, pointers, left } = mergeOf(live);
  const changes = differences(live, merged);
  if (
    changes.length === 0 &&
    surplusOf(live, pointers).length === 0 &&
    live.metadata.annotations?.[operationAnnotation] !== halfDone(operationId)
  ) {
    const owned = left.filter((pointer) => ownership.whyLeft(pointer) === 'owned');
    return owned.length > 0 ? notWritten('conflict', `others declare what differs: ${owned.join(', ')}`) : { kind: 'nothing' };
  }
  if (!changes.some(({ path }) => ownership.isTaken(path))) return { kind: 'write', write: applyTo(body, operationId, live), changes };
  const putBack = patchTo(live, merged, halfDone(operationId));
  return { kind: 'write', write: { ...putBack, next: (answer) => applyTo(mergeOf(answer).body, operationId, answer) }, changes };
};
