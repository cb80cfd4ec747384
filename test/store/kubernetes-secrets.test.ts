import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKubernetesSecrets } from '../../store/secrets/kubernetes-secrets.ts';

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-kube-'));
const kubeconfig = join(folder, 'config');
const secrets = new Map<string, object>();
const seen: string[] = [];
const state = { status: 0 };
const server = createServer((request, response) => {
  seen.push(`${request.headers.authorization} ${request.url}`);
  const found = secrets.get(request.url ?? '');
  const status = state.status || (found ? 200 : 404);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(status === 200 ? found : { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status }));
});
const put = (name: string, labels: Record<string, string>, data: Record<string, string>): void => {
  const encoded = Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  secrets.set(`/api/v1/namespaces/tools/secrets/${name}`, { kind: 'Secret', apiVersion: 'v1', metadata: { name, labels }, data: encoded });
};

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(
    kubeconfig,
    `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "${url}", insecure-skip-tls-verify: true } }]
users: [{ name: u, user: { token: pod-token } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`,
  );
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const tenancy = { org: 'acme', project: 'lab' };
const reference = { secret: 'openai', key: 'api-key' };
const owned = { 'quarterdeck.dev/org': 'acme' };

test('a key of a Secret is read, kept for half a minute, and read anew when it was refused', async () => {
  const clock = { ms: 0 };
  const store = createKubernetesSecrets({ kubeconfig, namespace: 'tools' }, () => clock.ms);
  put('openai', owned, { 'api-key': 'sk-cluster-1\n' });
  expect(await store.read(reference, tenancy)).toBe('sk-cluster-1');
  expect(seen).toEqual(['Bearer pod-token /api/v1/namespaces/tools/secrets/openai']);
  put('openai', owned, { 'api-key': 'sk-cluster-2' });
  expect(await store.read(reference, tenancy)).toBe('sk-cluster-1');
  clock.ms += 30_000;
  expect(await store.read(reference, tenancy)).toBe('sk-cluster-2');
  put('openai', owned, { 'api-key': 'sk-cluster-3' });
  store.forget(reference);
  expect(await store.read(reference, tenancy)).toBe('sk-cluster-3');
  state.status = 500;
  clock.ms += 60_000;
  expect(await store.read(reference, tenancy)).toBe('sk-cluster-3');
  state.status = 0;
});

test.each([
  ['that nobody labelled', {}],
  ['of another org', { 'quarterdeck.dev/org': 'other' }],
  ['of another project', { ...owned, 'quarterdeck.dev/project': 'factory' }],
])('a Secret %s is not given to anybody else', async (_what, labels) => {
  put('openai', labels, { 'api-key': 'OTHERS' });
  const store = createKubernetesSecrets({ kubeconfig, namespace: 'tools' });
  const failure = await store.read(reference, tenancy).catch((error) => error);
  expect(failure).toMatchObject({
    code: 'secret_unavailable',
    message: expect.stringMatching(/tools\/openai is not labelled for acme\/lab/),
  });
  expect(failure.message).not.toContain('OTHERS');
});

test('what is missing or forbidden is said with its place', async () => {
  const store = createKubernetesSecrets({ kubeconfig, namespace: 'tools' });
  await expect(store.read({ secret: 'none', key: 'x' }, tenancy)).rejects.toThrow('There is no Kubernetes Secret tools/none.');
  put('openai', owned, { other: 'x' });
  await expect(store.read(reference, tenancy)).rejects.toThrow('no text under the key api-key');
  state.status = 403;
  store.forget(reference);
  await expect(store.read(reference, tenancy)).rejects.toThrow(/does not let Quarterdeck read the Secret tools\/openai \(403\)/);
  state.status = 0;
});
