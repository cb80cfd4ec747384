import { z } from 'zod';
import { isPlatformError } from '../../schema/errors.ts';
import { type ObjectRef, objectKey, writeObjectRef } from '../../schema/reconcile/object-ref.ts';
import { type SecretReference, SecretReferenceSchema } from '../../schema/resources/metadata.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import type { KubernetesObject } from './kubernetes-client.ts';
import type { KubernetesTarget } from './kubernetes-connection.ts';
import { refOf, targetLabel, targetLabelOf, waveAnnotation } from './kubernetes-state.ts';

/** JSON on a Secret's manifest: key -> reference to where its value is kept. */
export const secretSourceAnnotation = 'quarterdeck.dev/secret-source';
/** On the manifest of a controller: the finalizer that it serves. */
export const finalizerAnnotation = 'quarterdeck.dev/finalizer';

export type Declared = { ref: ObjectRef; manifest: KubernetesObject; wave: number };
export type DeclaredSet = { ok: true; declared: Declared[] } | { ok: false; message: string };

const SourceSchema = z.record(z.string().max(253), SecretReferenceSchema);

/** Kinds that lie in no namespace: they reach further than a target may. */
const clusterKinds = new Set(
  'Namespace Node PersistentVolume StorageClass ClusterRole ClusterRoleBinding CustomResourceDefinition PriorityClass IngressClass APIService MutatingWebhookConfiguration ValidatingWebhookConfiguration'.split(
    ' ',
  ),
);

export const namespacesOf = ({ spec }: KubernetesTarget): string[] => [...new Set([spec.namespace, ...spec.namespaces])];

const faultOf = (target: KubernetesTarget, { metadata }: KubernetesObject, ref: ObjectRef): string | undefined => {
  if (clusterKinds.has(ref.kind)) return 'lies in no namespace, and a target keeps only what lies in its own';
  if (!namespacesOf(target).includes(ref.namespace)) return `lies outside the target's namespaces (${namespacesOf(target).join(', ')})`;
  if (metadata.uid || metadata.resourceVersion || metadata.managedFields)
    return 'was copied out of a cluster: take `uid`, `resourceVersion` and `managedFields` out of its metadata';
  const wave = metadata.annotations?.[waveAnnotation];
  return wave === undefined || /^-?\d{1,6}$/.test(String(wave))
    ? undefined
    : `has \`${waveAnnotation}\`: ${JSON.stringify(wave)}, which is no number`;
};

const encodeSecret = ({ stringData, ...secret }: KubernetesObject): KubernetesObject => {
  const encoded = Object.entries(stringData ?? {}).map(([key, value]) => [key, Buffer.from(String(value)).toString('base64')]);
  return { ...secret, ...(secret.data || stringData ? { data: { ...secret.data, ...Object.fromEntries(encoded) } } : {}) };
};

/** Manifests with their namespace and the label of their target; the first that cannot be kept makes all of it unreadable. */
export const declaredOf = (target: KubernetesTarget): DeclaredSet => {
  const declared: Declared[] = [];
  const seen = new Set<string>();
  for (const { status: _, ...written } of target.spec.manifests as KubernetesObject[]) {
    const labels = { ...written.metadata.labels, [targetLabel]: targetLabelOf(target) };
    const metadata = { ...written.metadata, namespace: written.metadata.namespace ?? target.spec.namespace, labels };
    const manifest = written.kind === 'Secret' ? encodeSecret({ ...written, metadata }) : { ...written, metadata };
    const ref = refOf(manifest);
    const fault = seen.has(objectKey(ref)) ? 'is declared twice' : faultOf(target, manifest, ref);
    if (fault) return { ok: false, message: `${writeObjectRef(ref)} ${fault}.` };
    seen.add(objectKey(ref));
    declared.push({ ref, manifest, wave: Number(metadata.annotations?.[waveAnnotation] ?? 0) });
  }
  return { ok: true, declared };
};

/** The names of the keys that a Secret's manifest takes from elsewhere. @throws {Error} where the annotation cannot be read */
export const secretSourceOf = ({ metadata }: KubernetesObject): Record<string, SecretReference> => {
  const text = metadata.annotations?.[secretSourceAnnotation];
  if (text === undefined) return {};
  try {
    return SourceSchema.parse(JSON.parse(text));
  } catch {
    throw new Error(`\`${secretSourceAnnotation}\` of Secret/${metadata.name} is not JSON of keys and references`);
  }
};

/** A Secret's manifest with the values that its source holds now. */
export const fillSecret = async (
  target: KubernetesTarget,
  manifest: KubernetesObject,
  secrets: SecretSources,
): Promise<{ ok: true; manifest: KubernetesObject } | { ok: false; message: string }> => {
  try {
    const data = { ...manifest.data };
    const owner = { org: target.org, project: target.project, kind: 'ReconcileTarget', name: target.name };
    for (const [key, reference] of Object.entries(secretSourceOf(manifest))) {
      const field = `Secret/${manifest.metadata.name} ${key}`;
      data[key] = Buffer.from(await resolveSecret(reference, secrets, { ...owner, field })).toString('base64');
    }
    return { ok: true, manifest: { ...manifest, data } };
  } catch (error) {
    return { ok: false, message: isPlatformError(error) ? error.detail : (error as Error).message };
  }
};
