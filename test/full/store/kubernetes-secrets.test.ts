import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isPlatformError } from '../../../schema/errors.ts';
import { createKubernetesSecrets } from '../../../store/secrets/kubernetes-secrets.ts';
import { resolveSecret } from '../../../store/secrets/references.ts';
import { type KubeApiServer, startKubeApiServer } from '../../support/kube-api-server.ts';

const namespace = 'tools';
const tenancy = { org: 'acme', project: 'lab' };
const reference = { secret: 'openai', key: 'api-key' };
const forbidden = { secret: 'billing', key: 'api-key' };

let kube: KubeApiServer;
let tokenFile: string;
const tokenAudience = 'https://kubernetes.default.svc';
const newToken = () => kube.tokenFor(namespace, 'quarterdeck', [tokenAudience]);
const putSecret = (name: string, value: string, method: 'POST' | 'PUT' = 'PUT') =>
  kube.send(method, `/api/v1/namespaces/${namespace}/secrets${method === 'PUT' ? `/${name}` : ''}`, {
    metadata: { name, labels: { 'quarterdeck.dev/org': 'acme' } },
    stringData: { 'api-key': value },
  });

beforeAll(async () => {
  kube = await startKubeApiServer();
  await kube.send('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  await kube.addServiceAccount(namespace, 'quarterdeck');
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  await kube.send('POST', `${rbac}/roles`, {
    metadata: { name: 'read-openai' },
    rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['openai'], verbs: ['get'] }],
  });
  await kube.send('POST', `${rbac}/rolebindings`, {
    metadata: { name: 'read-openai' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'read-openai' },
    subjects: [{ kind: 'ServiceAccount', name: 'quarterdeck', namespace }],
  });
  await putSecret('openai', 'sk-cluster-1', 'POST');
  await putSecret('billing', 'sk-of-billing', 'POST');
  tokenFile = kube.file('pod-token', await newToken());
});
afterAll(() => kube?.close());

/** As in a pod: the API server's address, its certificate, and the token that the kubelet keeps in a file. */
const openStore = (server = kube.apiUrl) => {
  const clock = { ms: 0 };
  const store = createKubernetesSecrets({ namespace, server, caFile: kube.caFile, tokenFile }, () => clock.ms);
  return { clock, store, read: (from = reference) => store.read(from, tenancy) };
};
const failureOf = async (reading: Promise<unknown>) => {
  const failure = await reading.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!isPlatformError(failure)) throw new Error(`no error of ours: ${failure}`);
  return failure;
};

describe('a service account that may get one Secret by name', () => {
  test('reads it, and follows a change within the half minute, or at once when the value was refused', async () => {
    const { clock, store, read } = openStore();
    await putSecret('openai', 'sk-cluster-1');
    expect(await read()).toBe('sk-cluster-1');
    await putSecret('openai', 'sk-cluster-2');
    expect(await read()).toBe('sk-cluster-1');
    clock.ms += 30_000;
    expect(await read()).toBe('sk-cluster-2');
    await putSecret('openai', 'sk-cluster-3');
    store.forget(reference);
    expect(await read()).toBe('sk-cluster-3');
  });

  test('is told which Secret it may not read and which permission is missing, and the resource that refers to it is named', async () => {
    const { store } = openStore();
    const stores = { vault: undefined, kubernetes: store, keychain: undefined, close: async () => undefined };
    const owner = { ...tenancy, kind: 'Provider', name: 'openai', field: 'spec.apiKey' };
    const failure = await failureOf(resolveSecret({ kubernetes: forbidden }, { environment: {}, stores }, owner));
    expect(failure.code).toBe('secret_unavailable');
    expect(failure.message).toMatch(/Provider.*openai/);
    expect(failure.message).toMatch(
      /does not let Quarterdeck read the Secret tools\/billing \(403\); a Role must give .* `get` on `secrets` named billing in the namespace tools/,
    );
    expect(failure.message).not.toContain('sk-of-billing');
  });

  test('does not read it in another namespace, however it is called', async () => {
    await kube.send('POST', '/api/v1/namespaces/default/secrets', {
      metadata: { name: 'openai', labels: { 'quarterdeck.dev/org': 'acme' } },
      stringData: { 'api-key': 'sk-elsewhere' },
    });
    const { store } = openStore();
    const failure = await failureOf(store.read({ ...reference, namespace: 'default' }, tenancy));
    expect(failure.message).toMatch(/Secret default\/openai \(403\)/);
  });

  test('loses what it kept when the permission is taken away, and has it back with it', async () => {
    const { clock, read } = openStore();
    await putSecret('openai', 'sk-cluster-4');
    expect(await read()).toBe('sk-cluster-4');
    const role = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles/read-openai`;
    const { metadata, rules } = await kube.send('GET', role);
    await kube.send('PUT', role, { metadata: { name: metadata.name }, rules: [] });
    clock.ms += 30_000;
    await expect.poll(() => read().catch((error) => error.message), { timeout: 20_000 }).toMatch(/\(403\)/);
    await kube.send('PUT', role, { metadata: { name: metadata.name }, rules });
    await expect.poll(() => read().catch((error) => error.message), { timeout: 20_000 }).toBe('sk-cluster-4');
  });
});

describe('while the API server does not answer', () => {
  test('what was read is good for ten minutes more; then, and for what was never read, calls fail closed and say when to come again', async () => {
    const { clock, read } = openStore();
    await putSecret('openai', 'sk-cluster-5');
    expect(await read()).toBe('sk-cluster-5');
    await kube.stop();
    try {
      clock.ms += 600_000;
      expect(await read()).toBe('sk-cluster-5');
      const unread = await failureOf(openStore().read());
      expect(unread).toMatchObject({
        code: 'secret_unavailable',
        isRetryable: true,
        facts: { reason: 'unreachable', retryAfterSeconds: 5 },
      });
      expect(unread.message).toMatch(/does not answer for the Secret tools\/openai; try again in 5 s/);
      clock.ms += 30_001;
      expect((await failureOf(read())).facts).toMatchObject({ reason: 'unreachable' });
    } finally {
      await kube.restart();
    }
    expect(await read()).toBe('sk-cluster-5');
  });

  test('one that accepts and says nothing holds nobody for longer than five seconds', async () => {
    const sockets = new Set<{ destroy(): void }>();
    const silent = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    try {
      const startedAt = performance.now();
      expect((await failureOf(openStore(`https://127.0.0.1:${port}`).read())).facts).toMatchObject({ reason: 'unreachable' });
      expect(performance.now() - startedAt).toBeLessThan(8_000);
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });
});

test('a token that is refused is read anew from its file at once, so its rotation fails no call; one that is not renewed is told as that', async () => {
  const { store, read } = openStore();
  await putSecret('openai', 'sk-cluster-6');
  const pod = await kube.addPod(namespace, 'quarterdeck-0', 'quarterdeck');
  writeFileSync(tokenFile, await kube.tokenFor(namespace, 'quarterdeck', [tokenAudience], pod));
  expect(await read()).toBe('sk-cluster-6');
  await kube.removePod(namespace, 'quarterdeck-0'); // its token dies with it, within the seconds that an API server remembers
  const refused = () => {
    store.forget(reference);
    return read().catch((error) => error.message);
  };
  await expect.poll(refused, { timeout: 30_000, interval: 1_000 }).toMatch(/\(401\): its token is not, or no longer, known there/);
  writeFileSync(tokenFile, await newToken());
  store.forget(reference);
  expect(await read()).toBe('sk-cluster-6');

  const another = await kube.addPod(namespace, 'quarterdeck-1', 'quarterdeck');
  const early = await kube.tokenFor(namespace, 'quarterdeck', [tokenAudience], another);
  writeFileSync(tokenFile, early);
  const connected = openStore();
  expect(await connected.read()).toBe('sk-cluster-6');
  writeFileSync(tokenFile, await newToken()); // the kubelet was in time; the library still holds the early one
  await kube.removePod(namespace, 'quarterdeck-1');
  const isKnown = async () =>
    (
      await kube.send('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: early },
      })
    ).status.authenticated === true;
  await expect.poll(isKnown, { timeout: 30_000, interval: 1_000 }).toBe(false);
  connected.store.forget(reference);
  expect(await connected.read()).toBe('sk-cluster-6');
});
