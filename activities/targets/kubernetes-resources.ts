import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import { type KubernetesClient, KubernetesFailure } from './kubernetes-client.ts';

export type KubernetesResource = { plural: string; isNamespaced: boolean };

const keptMs = 600_000;
/** What an API server takes for a group and a version, and for the name of an object: anything else would be another path of it. */
const apiVersionForm = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?v[a-z0-9]{1,62}$/;
const isName = (name: string): boolean => name !== '.' && name !== '..' && !/[/%\\]/.test(name);

const rootOf = (apiVersion: string): string => (apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`);

/** Where objects of a kind are found, as the cluster itself says; kept for ten minutes, and asked anew for a kind that is not known. */
export const createKubernetesResources = (client: KubernetesClient, now: () => number = Date.now) => {
  const known = new Map<string, { kinds: Map<string, KubernetesResource>; readAt: number }>();

  const load = async (apiVersion: string, signal: AbortSignal) => {
    const { resources = [] } = await client.send({ path: rootOf(apiVersion), signal });
    const kinds = new Map<string, KubernetesResource>();
    for (const { kind, name, namespaced } of resources) {
      if (!String(name).includes('/')) kinds.set(String(kind), { plural: String(name), isNamespaced: namespaced === true });
    }
    known.set(apiVersion, { kinds, readAt: now() });
    return kinds;
  };

  /** @throws {KubernetesFailure} `NoSuchKind` where the cluster does not serve it */
  const find = async (apiVersion: string, kind: string, signal: AbortSignal): Promise<KubernetesResource> => {
    if (!apiVersionForm.test(apiVersion))
      throw new KubernetesFailure(400, 'Invalid', `${JSON.stringify(apiVersion)} is no version of an API`);
    const last = known.get(apiVersion);
    const fresh = last && now() - last.readAt < keptMs ? last.kinds.get(kind) : undefined;
    if (fresh) return fresh;
    const missing = `the cluster does not serve ${kind} of ${apiVersion}; install its definition, or take it out of the manifests`;
    try {
      const found = (await load(apiVersion, signal)).get(kind);
      if (found) return found;
    } catch (error) {
      if (!(error instanceof KubernetesFailure) || error.status !== 404) throw error;
    }
    throw new KubernetesFailure(404, 'NoSuchKind', missing);
  };

  /** Only what lies in namespaces: the cluster says which kinds do, those of others among them. */
  const listPath = async (apiVersion: string, kind: string, namespace: string, signal: AbortSignal): Promise<string> => {
    const { plural, isNamespaced } = await find(apiVersion, kind, signal);
    if (isNamespaced) return `${rootOf(apiVersion)}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
    throw new KubernetesFailure(422, 'ClusterObject', `a ${kind} lies in no namespace, and a target keeps only what lies in its own`);
  };

  return {
    find,
    listPath,
    path: async ({ apiVersion, kind, namespace, name }: ObjectRef, signal: AbortSignal): Promise<string> => {
      if (!isName(name)) throw new KubernetesFailure(400, 'Invalid', `${JSON.stringify(name)} is no name of an object`);
      return `${await listPath(apiVersion, kind, namespace, signal)}/${encodeURIComponent(name)}`;
    },
  };
};
export type KubernetesResources = ReturnType<typeof createKubernetesResources>;
