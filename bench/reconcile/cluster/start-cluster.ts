import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../gateway/free-port.ts';
import { pollUntil } from '../poll-until.ts';
import { kubeconfigOf } from './kubeconfig-of.ts';
import { startKubelets } from './play-kubelets.ts';
import type { Images } from './program-facts.ts';
import { adminToken, type KubernetesPrograms, startApiServer } from './start-api-server.ts';

/** Of the reconciler: it may do what it likes in namespaces that are opened to it, and nothing else. */
export const reconcilerToken = 'token-of-the-reconciler';
export const reconcilerUser = 'quarterdeck-reconciler';

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  # with what was written: an operation leaves its id in it
  - { level: Request, users: [quarterdeck-reconciler], verbs: [create, update, patch, delete] }
  - { level: Metadata }
`;

/** What kwok plays: the nodes. Their pods are played by `startKubelets`, from what they say. */
const stages = join(import.meta.dirname, '..', 'stages', 'nodes.yaml');

export type AuditEntry = {
  verb: string;
  requestURI: string;
  user: { username: string };
  objectRef?: { resource: string; namespace: string; name: string };
  responseStatus: { code: number };
  requestReceivedTimestamp: string;
  /** What was written; of reads nothing. */
  requestObject?: unknown;
};

/**
 * A real cluster but for its machines: API server, store, controller manager, scheduler, one node by kwok, and kubelets that are played from
 * what the pods say.
 * @param images - what can be pulled, and what the program in it is like
 * @param options.signal - ends a start that is under way; nothing of it is left
 */
export const startCluster = async (programs: KubernetesPrograms, images: Images, { signal }: { signal?: AbortSignal } = {}) => {
  const server = await startApiServer(programs, {
    ...(signal ? { signal } : {}),
    tokens: [`${reconcilerToken},${reconcilerUser},${reconcilerUser}`],
    apiServerArgs: (file, folder) => [
      ...['--audit-policy-file', file('audit.yaml', auditPolicy), '--audit-log-path', join(folder, 'audit.log')],
      ...['--audit-log-mode', 'blocking'],
    ],
  });
  const { send, run, file, apiUrl } = server;
  const admin = file('admin.kubeconfig', kubeconfigOf(apiUrl, server.ca(), adminToken));
  const { controllerManager, scheduler, kwok } = programs;
  const ports = [await freePort(), await freePort(), await freePort()];
  run(controllerManager, [
    ...['--kubeconfig', admin, '--leader-elect=false', '--bind-address', '127.0.0.1', '--secure-port', String(ports[0])],
    ...['--service-account-private-key-file', join(server.folder, 'sa.key'), '--root-ca-file', server.caFile],
    ...['--cert-dir', server.folder, '--horizontal-pod-autoscaler-sync-period', '1s'],
    // many small things at once, as a bench has them, must not wait for one another
    ...['--kube-api-qps', '300', '--kube-api-burst', '600'],
  ]);
  run(scheduler, [
    ...['--kubeconfig', admin, '--leader-elect=false', '--bind-address', '127.0.0.1', '--secure-port', String(ports[1])],
    ...['--cert-dir', server.folder],
  ]);
  run(kwok, [
    ...['--kubeconfig', admin, '--manage-all-nodes=true', '--config', stages],
    ...['--server-address', `127.0.0.1:${ports[2]}`, '--node-lease-duration-seconds', '40'],
  ]);
  try {
    await send('POST', '/api/v1/nodes', { metadata: { name: 'node-0', labels: { 'kubernetes.io/hostname': 'node-0' } } });
    await pollUntil(
      async () => {
        signal?.throwIfAborted();
        const { status, spec } = await send('GET', '/api/v1/nodes/node-0');
        const isReady = status.conditions?.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True');
        return isReady && !spec.taints?.length ? true : undefined;
      },
      'the node to be ready',
      60_000,
    ).catch((error) => {
      throw new Error(`${error.message}: ${server.output()}`);
    });
    await send('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
      metadata: { name: 'reconciler' },
      rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'] }],
    });
  } catch (error) {
    await server.close();
    throw error;
  }
  const kubelets = startKubelets(server, images);
  const auditFile = join(server.folder, 'audit.log');

  return {
    ...server,
    /** A file with a kubeconfig of the reconciler, by the API server itself or by what stands in front of it. */
    reconcilerKubeconfig: (name: string, at = apiUrl): string => file(name, kubeconfigOf(at, server.ca(), reconcilerToken)),
    /** A namespace in which the reconciler may work, once it may: the server comes to know of a right some time after it was given. */
    openNamespace: async (name: string) => {
      // a test that is tried again finds what its first try left
      const make = (path: string, body: object) =>
        send('POST', path, body).catch((error: unknown) => {
          if (!String(error).includes('AlreadyExists')) throw error;
        });
      await make('/api/v1/namespaces', { metadata: { name } });
      await make(`/apis/rbac.authorization.k8s.io/v1/namespaces/${name}/rolebindings`, {
        metadata: { name: 'reconciler' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reconciler' },
        subjects: [{ kind: 'User', name: reconcilerUser }],
      });
      const asked = {
        user: reconcilerUser,
        resourceAttributes: { namespace: name, verb: 'patch', group: 'apps', resource: 'deployments' },
      };
      await pollUntil(async () => {
        const { status } = await send('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { spec: asked });
        return status.allowed || undefined;
      }, `the reconciler to be let into ${name}`);
    },
    /** What the API server wrote of the reconciler's requests. */
    audit: (): AuditEntry[] =>
      (existsSync(auditFile) ? readFileSync(auditFile, 'utf8') : '')
        .split('\n')
        .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as AuditEntry] : []))
        .filter(({ user }) => user.username === reconcilerUser),
    close: async () => {
      await kubelets.stop();
      await server.close();
    },
  };
};
export type KubeCluster = Awaited<ReturnType<typeof startCluster>>;

const writes = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);
/** Requests that changed something, or tried to: no dry runs. */
export const writesIn = (entries: readonly AuditEntry[]): AuditEntry[] =>
  entries.filter(({ verb, requestURI }) => writes.has(verb) && !requestURI.includes('dryRun=All'));
