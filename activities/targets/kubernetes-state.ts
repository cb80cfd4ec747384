import { createHash } from 'node:crypto';
import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { KubernetesObject } from './kubernetes-client.ts';

/** Our field manager. */
export const fieldManager = 'quarterdeck';
/** Says which target an object is kept by: 40 hex digits, because a label holds no more than 63 characters. */
export const targetLabel = 'quarterdeck.dev/target';
/**
 * The last operation that we did to it, by a patch and by server-side apply; no part of its state. Each has one of its own, because the
 * API server takes the two ways for two managers, and would see a conflict between them.
 */
export const operationAnnotation = 'quarterdeck.dev/operation';
export const appliedAnnotation = 'quarterdeck.dev/applied';
/** Whether the last thing that was done to an object, by either way, was this operation. */
export const isDoneTo = (object: KubernetesObject, operationId: string): boolean =>
  [operationAnnotation, appliedAnnotation].some((name) => object?.metadata.annotations?.[name] === operationId);
export const waveAnnotation = 'quarterdeck.dev/wave';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

export const targetLabelOf = ({ org, project, name }: { org: string; project: string; name: string }): string =>
  digest(`${org}/${project}/${name}`).slice(0, 40);

/** JSON with sorted members, so that one state has one text. */
export const canonicalText = (value: unknown): string =>
  JSON.stringify(value, (_, inner) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
export const digestOf = (value: unknown): string => digest(canonicalText(value));

const writtenBySystem = [
  'managedFields',
  'resourceVersion',
  'uid',
  'generation',
  'creationTimestamp',
  'selfLink',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
];
/** Annotations that count or repeat what lies elsewhere: none of it is what anybody declares. */
const systemAnnotations = [
  operationAnnotation,
  appliedAnnotation,
  'deployment.kubernetes.io/revision',
  'kubectl.kubernetes.io/last-applied-configuration',
];

const omit = (object: Record<string, unknown>, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));

/** Of a secret only the names of its keys. */
const hideValues = (object: KubernetesObject): KubernetesObject => {
  const names = [...Object.keys(object.data ?? {}), ...Object.keys(object.stringData ?? {})].toSorted();
  return { ...omit(object, ['data', 'stringData']), data: Object.fromEntries(names.map((name) => [name, ''])) };
};

/** An object without its status and without what its system writes itself. */
export const stateOf = (object: KubernetesObject): KubernetesObject => {
  const { metadata = {}, ...rest } = omit(object, ['status']) as KubernetesObject;
  const annotations = omit(metadata.annotations ?? {}, systemAnnotations);
  const kept = omit(metadata, [...writtenBySystem, 'annotations']);
  const state = { ...rest, metadata: { ...kept, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) } };
  return object.kind === 'Secret' ? hideValues(state) : state;
};

export const refOf = ({ apiVersion, kind, metadata }: KubernetesObject): ObjectRef => ({
  apiVersion,
  kind,
  namespace: metadata.namespace ?? '',
  name: metadata.name,
});
