import { createKeptValues } from '../../store/secrets/kept-values.ts';
import { orgLabel, projectLabel } from '../../store/secrets/kubernetes-secrets.ts';
import { KubernetesFailure, type KubernetesObject } from './kubernetes-client.ts';
import type { KubernetesConnection, KubernetesTarget } from './kubernetes-connection.ts';
import { namespacesOf } from './kubernetes-manifests.ts';

const keptMs = 30_000;
const withinMs = 15_000;

/**
 * Says whose the namespaces are of the cluster that Quarterdeck itself runs in: its service account may reach those of all tenants and its own, so
 * that whoever declares a target is held to those that are labelled for them, as with Secrets. A label of the org, and one of the project where there is one.
 */
export const createOwnNamespaces = (now: () => number = Date.now) => {
  const kept = createKeptValues<Record<string, string>>({ ttlMs: keptMs, staleMs: 0, now });

  const labelsOf = async ({ client }: KubernetesConnection, namespace: string): Promise<Record<string, string>> => {
    try {
      const signal = AbortSignal.timeout(withinMs);
      const found: KubernetesObject = await client.send({ path: `/api/v1/namespaces/${encodeURIComponent(namespace)}`, signal });
      return found.metadata?.labels ?? {};
    } catch (error) {
      if (error instanceof KubernetesFailure && error.status === 404) return {};
      if (!(error instanceof KubernetesFailure) || error.status !== 403) throw error;
      throw new KubernetesFailure(
        403,
        'Namespace',
        `the service account may not look whose the namespace ${namespace} is; give it \`get\` on \`namespaces\``,
      );
    }
  };

  /** @throws {KubernetesFailure} 403 for a namespace that is not the target's tenant's */
  return async (connection: KubernetesConnection, target: KubernetesTarget): Promise<void> => {
    const { org, project } = target;
    for (const namespace of namespacesOf(target)) {
      const labels = await kept.get(`${connection.key} ${namespace}`, () => labelsOf(connection, namespace));
      if (labels[orgLabel] === org && (labels[projectLabel] ?? project) === project) continue;
      throw new KubernetesFailure(
        403,
        'Namespace',
        `the namespace ${namespace} of the cluster that Quarterdeck runs in is not labelled for ${org}/${project}: it needs \`${orgLabel}: ${org}\`, and no other project in \`${projectLabel}\``,
      );
    }
  };
};
