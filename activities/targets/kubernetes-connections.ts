import { createHash } from 'node:crypto';
import { isPlatformError } from '../../schema/errors.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import { KubernetesFailure } from './kubernetes-client.ts';
import { connectKubernetes, type KubernetesConnection, type KubernetesTarget } from './kubernetes-connection.ts';
import { KubeconfigError, type OwnCluster, ownKubeconfig, readKubeconfig } from './kubernetes-kubeconfig.ts';
import { createOwnNamespaces } from './kubernetes-own-namespaces.ts';

const mostConnections = 256;

/**
 * Connections to clusters, one for each credential however many targets use it. A kubeconfig is resolved anew each time (its store keeps
 * it for a while), so that a rotated one is taken at once.
 * @param options.reuseMs - so long a resolved one serves all targets of a project that refer to it, for who looks at a thousand of them
 * @throws {KubernetesFailure} with status 0 where the secret cannot be had, and 401 where it is no use
 */
export const createKubernetesConnections = ({
  secrets,
  ownCluster,
  reuseMs = 0,
}: {
  secrets: SecretSources;
  ownCluster?: OwnCluster | undefined;
  reuseMs?: number;
}) => {
  const resolved = new Map<string, { untilMs: number; connection: Promise<KubernetesConnection> }>();
  const connections = new Map<string, Promise<KubernetesConnection>>();
  const checkOwnNamespaces = createOwnNamespaces();

  const kept = (key: string, load: () => ReturnType<typeof readKubeconfig>): Promise<KubernetesConnection> => {
    const known = connections.get(key);
    if (known) {
      connections.delete(key); // the map's order is that of use
      connections.set(key, known);
      return known;
    }
    const made = connectKubernetes(key, load);
    connections.set(key, made);
    made.catch(() => connections.delete(key));
    for (const [oldest, connection] of connections) {
      if (connections.size <= mostConnections) break;
      connections.delete(oldest);
      void connection.then(({ client }) => client.close());
    }
    return made;
  };

  const resolve = async ({ org, project, name, spec: { cluster } }: KubernetesTarget): Promise<KubernetesConnection> => {
    try {
      if (!cluster) {
        if (!ownCluster) throw new KubeconfigError('Quarterdeck does not run in a cluster here; give `spec.cluster.kubeconfig`');
        return await kept(`own ${ownCluster.server}`, () => ownKubeconfig(ownCluster));
      }
      const owner = { org, project, kind: 'ReconcileTarget', name, field: 'spec.cluster.kubeconfig' };
      const text = await resolveSecret(cluster.kubeconfig, secrets, owner);
      const digest = createHash('sha256')
        .update(`${cluster.context ?? ''}\n${text}`)
        .digest('hex');
      return await kept(`${org}/${project} ${digest}`, () => readKubeconfig(text, cluster.context));
    } catch (error) {
      if (error instanceof KubeconfigError) throw new KubernetesFailure(401, 'Kubeconfig', error.message);
      if (isPlatformError(error)) throw new KubernetesFailure(0, 'Kubeconfig', error.detail);
      throw error;
    }
  };

  const shared = (target: KubernetesTarget): Promise<KubernetesConnection> => {
    if (reuseMs === 0) return resolve(target);
    const key = JSON.stringify([target.org, target.project, target.spec.cluster]);
    const nowMs = performance.now();
    const last = resolved.get(key);
    if (last && nowMs < last.untilMs) return last.connection;
    const connection = resolve(target);
    resolved.set(key, { untilMs: nowMs + reuseMs, connection });
    connection.catch(() => resolved.delete(key));
    for (const [old, { untilMs }] of resolved) if (untilMs < nowMs) resolved.delete(old);
    return connection;
  };

  return {
    of: async (target: KubernetesTarget): Promise<KubernetesConnection> => {
      const connection = await shared(target);
      // a kubeconfig is its tenant's own; the cluster that we run in is everybody's
      if (!target.spec.cluster) await checkOwnNamespaces(connection, target);
      return connection;
    },
    close: async (): Promise<void> => {
      const open = [...connections.values()];
      connections.clear();
      for (const connection of open) await connection.then(({ client }) => client.close()).catch(() => undefined);
    },
  };
};
export type KubernetesConnections = ReturnType<typeof createKubernetesConnections>;
