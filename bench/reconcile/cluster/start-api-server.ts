import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { freePort } from '../../gateway/free-port.ts';
import { pollUntil } from '../poll-until.ts';

export const adminToken = 'token-of-the-administrator';
/** Of the issuer: it may have tokens reviewed, and nothing else. */
export const reviewerToken = 'token-of-the-issuer-for-reviews';

/** Where the programs of a cluster lie, which the set-up builds. */
export type KubernetesPrograms = { apiServer: string; controllerManager: string; scheduler: string; etcd: string; kwok: string };

export type KubeApiServerOptions = {
  /** Lines `token,user,uid` of those who may log in besides. */
  tokens?: readonly string[];
  /** More of its arguments; `file` writes one that they name. */
  apiServerArgs?: (file: (name: string, text: string) => string, folder: string) => string[];
  /** Ends a start that is under way; nothing of it is left. */
  signal?: AbortSignal;
};

/**
 * A real API server with its store, and nothing that would run a pod: what tokens of service accounts are asked of. `create` and `remove`
 * are of an administrator; `tokenFor` asks for a projected token as the kubelet does, bound to a pod where one is named.
 */
export const startApiServer = async (
  { apiServer, etcd }: Pick<KubernetesPrograms, 'apiServer' | 'etcd'>,
  { tokens = [], apiServerArgs = () => [], signal }: KubeApiServerOptions = {},
) => {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-kube-'));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const [port, clientPort, peerPort] = [await freePort(), await freePort(), await freePort()];
  const children: ChildProcess[] = [];
  const output: string[] = [];
  const run = (program: string, args: string[]): ChildProcess => {
    // in a session of its own: Ctrl-C reaches who started it, and that ends it
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    child.stderr?.on('data', (text) => output.push(String(text)));
    child.on('error', (error) => output.push(`${program}: ${error.message}; npm run test:full builds it first`));
    children.push(child);
    return child;
  };
  const place = (at: number) => `http://127.0.0.1:${at}`;
  run(etcd, [
    ...['--data-dir', join(folder, 'etcd'), '--unsafe-no-fsync'],
    ...['--listen-client-urls', place(clientPort), '--advertise-client-urls', place(clientPort)],
    ...['--listen-peer-urls', place(peerPort), '--initial-advertise-peer-urls', place(peerPort)],
    ...['--initial-cluster', `default=${place(peerPort)}`],
  ]);
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const startApiServer = (): ChildProcess =>
    run(apiServer, [
      ...['--etcd-servers', place(clientPort), '--secure-port', String(port), '--bind-address', '127.0.0.1'],
      ...['--cert-dir', folder, '--service-cluster-ip-range', '10.0.0.0/24', '--authorization-mode', 'RBAC'],
      ...['--service-account-key-file', file('sa.pub', publicKey), '--service-account-signing-key-file', file('sa.key', privateKey)],
      ...['--service-account-issuer', 'https://kubernetes.default.svc', '--disable-admission-plugins', 'ServiceAccount'],
      ...[
        '--token-auth-file',
        file('tokens.csv', `${adminToken},admin,admin,"system:masters"\n${reviewerToken},issuer,issuer\n${tokens.join('\n')}\n`),
      ],
      ...apiServerArgs(file, folder),
    ]);
  let running = startApiServer();

  const apiUrl = `https://127.0.0.1:${port}`;
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  const send = async (
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: object,
    contentType = 'application/json',
  ) => {
    const answer = await request(`${apiUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': contentType },
      ...(body ? { body: JSON.stringify(body) } : {}),
      dispatcher,
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    // biome-ignore lint/suspicious/noExplicitAny: objects of Kubernetes are looked at field by field
    return (text.startsWith('{') ? JSON.parse(text) : text) as any;
  };
  const ready = () =>
    pollUntil(
      () => {
        signal?.throwIfAborted();
        return send('GET', '/readyz').then(
          () => true,
          () => {
            if (children.some(({ exitCode }) => exitCode !== null && exitCode !== 0)) throw new Error(output.join('').slice(-2000));
            return undefined;
          },
        );
      },
      'the API server to be ready',
      90_000,
    );

  const stopChild = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  const close = async (): Promise<void> => {
    for (const child of children.toReversed()) await stopChild(child);
    await dispatcher.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await ready();
    await send('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'issuer' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:auth-delegator' },
      subjects: [{ kind: 'User', name: 'issuer' }],
    });
  } catch (error) {
    await close();
    throw error;
  }
  const inNamespace = (namespace: string, kind: string) => `/api/v1/namespaces/${namespace}/${kind}`;
  return {
    apiUrl,
    folder,
    /** As the administrator. */
    send,
    /** Starts another program of the cluster; it ends with the API server. */
    run,
    /** What all programs said last. */
    output: () => output.join('').slice(-4000),
    file,
    caFile: join(folder, 'apiserver.crt'),
    tokenFile: file('reviewer-token', `${reviewerToken}\n`),
    ca: () => readFileSync(join(folder, 'apiserver.crt'), 'utf8'),
    addServiceAccount: (namespace: string, name: string) => send('POST', inNamespace(namespace, 'serviceaccounts'), { metadata: { name } }),
    addPod: (namespace: string, name: string, serviceAccountName: string) =>
      send('POST', inNamespace(namespace, 'pods'), {
        metadata: { name },
        spec: { serviceAccountName, containers: [{ name: 'worker', image: 'worker' }] },
      }),
    removePod: (namespace: string, name: string) =>
      send('DELETE', `${inNamespace(namespace, 'pods')}/${name}`, { gracePeriodSeconds: 0, propagationPolicy: 'Background' }),
    tokenFor: async (namespace: string, name: string, audiences: string[], pod?: { metadata: { name: string; uid: string } }) => {
      const bound = pod && { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod.metadata.name, uid: pod.metadata.uid } };
      const spec = { audiences, expirationSeconds: 600, ...bound };
      const { status } = await send('POST', `${inNamespace(namespace, 'serviceaccounts')}/${name}/token`, { spec });
      return String(status.token);
    },
    /** Kills the API server, as an outage does. */
    stop: () => stopChild(running),
    restart: async () => {
      running = startApiServer();
      await ready();
    },
    close,
  };
};
export type KubeApiServer = Awaited<ReturnType<typeof startApiServer>>;
