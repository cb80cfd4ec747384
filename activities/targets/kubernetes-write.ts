import type { StepOutcome } from '../../schema/reconcile/plan.ts';
import type { KubernetesObject } from './kubernetes-client.ts';
import type { FieldChange } from './kubernetes-difference.ts';
import { differences, jsonPatch } from './kubernetes-difference.ts';
import { appliedAnnotation, fieldManager, operationAnnotation, stateOf } from './kubernetes-state.ts';

/** One request that changes an object, with what the server has to find for it to be done. `next` is sent after it has succeeded. */
export type Write = {
  method: 'PATCH' | 'POST' | 'DELETE';
  contentType?: string;
  body: unknown;
  query?: Record<string, string>;
  /** Made from what the request before it answered. */
  next?: (answer: KubernetesObject) => Write;
};

/** What an operation comes to: a write, nothing, or a reason why not. `changes` is what it would change, as far as that is known before. */
export type Writing =
  | { kind: 'write'; write: Write; changes: FieldChange[] }
  | { kind: 'nothing' }
  | { kind: 'not'; reason: Extract<StepOutcome, { kind: 'failed' }>['reason']; message: string };

export const notWritten = (reason: Extract<Writing, { kind: 'not' }>['reason'], message: string): Writing => ({
  kind: 'not',
  reason,
  message,
});

/** The object with the mark of an operation, by which a second try finds that the first was done. */
const marked = (object: KubernetesObject, annotation: string, operationId: string): KubernetesObject => ({
  ...object,
  metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [annotation]: operationId } },
});

/** By a JSON patch: exactly the fields that differ, on exactly the version that was looked at. It forces nothing. */
export const patchTo = (live: KubernetesObject, wanted: KubernetesObject, operationId: string): Write => ({
  method: 'PATCH',
  contentType: 'application/json-patch+json',
  query: { fieldManager },
  body: jsonPatch(differences(live, marked(wanted, operationAnnotation, operationId)), live.metadata.resourceVersion),
});

/** The same of changes that are known one by one, in their order. */
export const patchOf = (live: KubernetesObject, changes: readonly FieldChange[], operationId: string): Write => ({
  ...patchTo(live, live, operationId),
  body: jsonPatch([...changes, ...differences(live, marked(live, operationAnnotation, operationId))], live.metadata.resourceVersion),
});

/** By server-side apply, without force: a field of somebody else's is answered with 409. `live`: the version it has to be, none where it is made. */
export const applyTo = (body: KubernetesObject, operationId: string, live?: KubernetesObject): Write => {
  const { metadata, ...rest } = marked(body, appliedAnnotation, operationId);
  const version = live && { resourceVersion: live.metadata.resourceVersion, uid: live.metadata.uid };
  return {
    method: 'PATCH',
    contentType: 'application/apply-patch+yaml',
    query: { fieldManager },
    body: { ...rest, metadata: { ...metadata, ...version } },
  };
};

/** Deletes this very object, and nothing that has taken its name since. */
export const deletion = (live: KubernetesObject): Write => ({
  method: 'DELETE',
  body: {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    propagationPolicy: 'Background',
    preconditions: { uid: live.metadata.uid, resourceVersion: live.metadata.resourceVersion },
  },
});

/** A write that changes what people call the object's state, or none. */
export const writingOf = (live: KubernetesObject, wanted: KubernetesObject, operationId: string): Writing => {
  const changes = differences(stateOf(live), stateOf(wanted));
  return changes.length === 0 ? { kind: 'nothing' } : { kind: 'write', write: patchTo(live, wanted, operationId), changes };
};
