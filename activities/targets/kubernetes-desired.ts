import { findUndeclared } from '../../reconcile/find-undeclared.ts';
import { writeObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { Desired } from '../../schema/reconcile/observation.ts';
import { KubernetesFailure, type KubernetesObject } from './kubernetes-client.ts';
import type { KubernetesConnection, KubernetesTarget } from './kubernetes-connection.ts';
import type { KubernetesConnections } from './kubernetes-connections.ts';
import { appliedBy, projectOnto } from './kubernetes-fields.ts';
import { type Declared, declaredOf, secretSourceOf } from './kubernetes-manifests.ts';
import { digestOf, fieldManager, stateOf } from './kubernetes-state.ts';

const mostKept = 5000;

/** A manifest as the cluster would keep it, and what its admission adds to it; null where that cannot be told from what is there already. */
type Normal = { object: KubernetesObject; admitted: string[] | null };

/** Refused as it stands, as against refused for now or by somebody's policy. */
const isInvalid = (error: unknown): error is KubernetesFailure =>
  error instanceof KubernetesFailure && (error.status === 422 || error.status === 400);
/** A quota, a webhook or a namespace that is missing says nothing about what was declared. */
const isForNow = (error: unknown): boolean => error instanceof KubernetesFailure && [403, 404, 409].includes(error.status);

/**
 * What was declared, in the form in which the cluster would keep it: the API server is asked what it would make of the manifest
 * (server-side apply, dry run), and of its answer only the declared fields are kept, so that defaults are no drift and `1000m` is `1`.
 * It is asked under another name, or the answer would be mixed with what is there. Nothing is asked twice for one manifest.
 */
export const createKubernetesDesired = (connections: KubernetesConnections) => {
  const kept = new Map<string, Normal>();
  const whole = new WeakMap<KubernetesTarget, { connectionKey: string; desired: Desired }>();

  const keyOf = ({ key }: KubernetesConnection, manifest: KubernetesObject): string => `${key} ${digestOf(manifest)}`;

  const ask = async ({ client, resources }: KubernetesConnection, { ref, manifest }: Declared, name: string, signal: AbortSignal) => {
    const answer = await client.send({
      method: 'PATCH',
      path: await resources.path({ ...ref, name }, signal),
      query: { dryRun: 'All', fieldManager },
      contentType: 'application/apply-patch+yaml',
      body: { ...manifest, metadata: { ...manifest.metadata, name } },
      signal,
    });
    const { apiVersion, kind } = manifest;
    const { metadata, ...rest } = projectOnto(appliedBy(answer, fieldManager), answer);
    const object = { apiVersion, kind, ...rest, metadata: { ...metadata, name: ref.name, namespace: ref.namespace } };
    // asked under its own name the answer holds what somebody added to what is there
    const admitted = name === ref.name ? null : findUndeclared(kind, object, answer).map(({ named }) => named);
    return { object, admitted } satisfies Normal;
  };

  const askBothWays = async (connection: KubernetesConnection, one: Declared, digest: string, signal: AbortSignal) => {
    try {
      return await ask(connection, one, `qd-normal-${digest.slice(0, 12)}`, signal);
    } catch (error) {
      if (!isInvalid(error)) throw error;
      return ask(connection, one, one.ref.name, signal); // an address or a port that is given out already is refused under any other name
    }
  };

  /** @throws {KubernetesFailure} the API server refuses it, or does not answer */
  const normalise = async (connection: KubernetesConnection, one: Declared, signal: AbortSignal): Promise<Normal> => {
    const asDeclared: Normal = { object: one.manifest, admitted: null };
    if (one.ref.kind === 'Secret') return asDeclared; // its values go nowhere but into it
    const digest = digestOf(one.manifest);
    const key = keyOf(connection, one.manifest);
    const known = kept.get(key);
    if (known) return known;
    try {
      const normal = await askBothWays(connection, one, digest, signal);
      kept.set(key, normal);
      if (kept.size > mostKept) kept.delete(kept.keys().next().value as string);
      return normal;
    } catch (error) {
      if (isForNow(error)) return asDeclared;
      throw error;
    }
  };

  const shown = ({ ref, manifest }: Declared, normal: KubernetesObject): KubernetesObject => {
    if (ref.kind !== 'Secret') return stateOf(normal);
    const fromElsewhere = Object.fromEntries(Object.keys(secretSourceOf(manifest)).map((key) => [key, '']));
    return stateOf({ ...normal, data: { ...normal.data, ...fromElsewhere } });
  };

  return {
    normalise: async (...asked: Parameters<typeof normalise>): Promise<KubernetesObject> => (await normalise(...asked)).object,
    desired: async (target: KubernetesTarget, signal: AbortSignal): Promise<Desired> => {
      const set = declaredOf(target);
      if (!set.ok) return { status: 'unreadable', message: set.message };
      let current = set.declared[0];
      try {
        const connection = await connections.of(target);
        const known = whole.get(target);
        if (known?.connectionKey === connection.key) return known.desired;
        const objects: { ref: Declared['ref']; state: KubernetesObject; wave: number; admitted: string[] | null }[] = [];
        for (const one of set.declared) {
          current = one;
          const { object, admitted } = await normalise(connection, one, signal);
          objects.push({ ref: one.ref, state: shown(one, object), wave: one.wave, admitted });
        }
        const desired: Desired = { status: 'read', objects, digest: digestOf(objects) };
        // what was refused for now is asked again; a Secret's manifest is never asked about
        const isWhole = set.declared.every(({ ref, manifest }) => ref.kind === 'Secret' || kept.has(keyOf(connection, manifest)));
        if (isWhole) whole.set(target, { connectionKey: connection.key, desired });
        return desired;
      } catch (error) {
        signal.throwIfAborted();
        return { status: 'unreadable', message: `${current ? `${writeObjectRef(current.ref)}: ` : ''}${(error as Error).message}` };
      }
    },
  };
};
export type KubernetesDesired = ReturnType<typeof createKubernetesDesired>;
