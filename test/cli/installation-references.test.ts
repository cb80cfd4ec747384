import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../cli/config.ts';
import { resolveInstallation } from '../../cli/resolve-installation.ts';
import { dataFolderAt } from '../../cli/up/data-folder.ts';
import { loadKeys } from '../../cli/up/keys.ts';
import type { SecretReference } from '../../schema/resources/metadata.ts';
import { resolveSecret } from '../../store/secrets/references.ts';
import { redactor } from '../../telemetry/redactor.ts';
import { startVaultServer } from '../support/vault-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-references-'));
const url = 'postgres://owner:the-password-of-it@db.example:5432/deck';
const key = Buffer.alloc(32, 44).toString('base64');
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const resolve = (environment: Record<string, string>) => resolveInstallation(readConfig(environment));
let vault: Awaited<ReturnType<typeof startVaultServer>>;
const cluster = createServer((request, response) => {
  const found = request.url === '/api/v1/namespaces/deck/secrets/keys';
  const theirs = request.url === '/api/v1/namespaces/deck/secrets/theirs';
  response.writeHead(found || theirs ? 200 : 404, { 'content-type': 'application/json' });
  const labels = { 'quarterdeck.dev/org': found ? 'Installation' : 'acme' };
  const data = { content: Buffer.from(`${key}\n`).toString('base64') };
  response.end(JSON.stringify({ kind: 'Secret', apiVersion: 'v1', metadata: { name: 'keys', labels }, data }));
});

beforeAll(async () => {
  vault = await startVaultServer();
  cluster.listen(0, '127.0.0.1');
  await once(cluster, 'listening');
});
afterAll(async () => {
  await vault.close();
  cluster.closeAllConnections();
  cluster.close();
  rmSync(folder, { recursive: true });
});

test('the database and keys are read from files and variables, where no reference of a resource leads any more, and are shown nowhere', async () => {
  const file = write('url', `${url}\n`);
  const config = await resolve({ DATABASE_URL: `file:${file}`, QUARTERDECK_CONTENT_KEY: 'env:DECK_KEY', DECK_KEY: key, OTHER: 'stays' });
  expect(config.databaseUrl).toBe(url);
  expect(config.rootKeys['content.key']).toBe(key);
  expect(config.environment).toMatchObject({ OTHER: 'stays' });
  expect(config.environment.DECK_KEY).toBeUndefined();
  const owner = { org: 'acme', project: 'lab', kind: 'Provider', name: 'p', field: 'apiKey' };
  const sources = { environment: config.environment, privatePaths: config.privatePaths };
  for (const reference of [{ file }, { env: 'DECK_KEY' }])
    await expect(resolveSecret(reference, sources, owner)).rejects.toMatchObject({ code: 'secret_unavailable' });
  for (const secret of [url, 'the-password-of-it', key]) expect(redactor.text(`says ${secret} here`)).not.toContain(secret);
});

test('Vault and Kubernetes are asked before there is a database, whatever paths tenants may name, and only a Secret of the installation is taken', async () => {
  vault.keep('platform/deck', { url });
  const config = await resolve({
    VAULT_ADDR: vault.address,
    VAULT_TOKEN: 'root-token',
    QUARTERDECK_VAULT_PATHS: 'secret/{org}/*',
    DATABASE_URL: 'vault:platform/deck#url',
  });
  expect(config.databaseUrl).toBe(url);
  expect(config.secretStores.vault?.paths).toEqual(['secret/{org}/*']);
  const kubeconfig = write(
    'kubeconfig',
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'c', cluster: { server: `http://127.0.0.1:${(cluster.address() as AddressInfo).port}`, 'insecure-skip-tls-verify': true } },
      ],
      users: [{ name: 'u', user: { token: 'pod' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  const inCluster = await resolve({ KUBECONFIG: kubeconfig, QUARTERDECK_CONTENT_KEY: 'kubernetes:deck/keys#content' });
  expect(inCluster.rootKeys['content.key']).toBe(key);
  await expect(resolve({ KUBECONFIG: kubeconfig, QUARTERDECK_CONTENT_KEY: 'kubernetes:deck/theirs#content' })).rejects.toThrow(
    /QUARTERDECK_CONTENT_KEY leads to kubernetes:deck\/theirs#content: .*not labelled/,
  );
});

test('no reference of a resource leads to what the platform itself logs in with, by whatever name the file has', async () => {
  const [secretId, proof, theirs] = [
    write('secret-id', 'of-the-platform'),
    write('proof', 'of-the-worker'),
    write('theirs', 'of-a-tenant'),
  ];
  symlinkSync(secretId, join(folder, 'innocent'));
  const config = await resolve({
    ...{ VAULT_ADDR: vault.address, QUARTERDECK_VAULT_ROLE_ID: 'deck', QUARTERDECK_VAULT_SECRET_ID_FILE: secretId },
    ...{ QUARTERDECK_WORKER_PROOF: `kubernetes:${proof}`, KUBERNETES_SERVICE_HOST: '10.0.0.1' },
    ...{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_EXPORTER_OTLP_HEADERS: 'api-key=of-the-platform' },
    DATABASE_URL: `file:${write('another-url', url)}`,
  });
  // a channel sends its password to a server that whoever declares it names
  const owner = { org: 'acme', project: 'lab', kind: 'Channel', name: 'mail', field: 'spec.smtp.password' };
  const sources = { environment: config.environment, privatePaths: config.privatePaths };
  const read = (reference: SecretReference) => resolveSecret(reference, sources, owner);
  expect(await read({ file: theirs })).toBe('of-a-tenant');
  for (const file of [
    secretId,
    join(folder, 'innocent'),
    `${folder}/./secret-id`,
    proof,
    `/proc/self/root${secretId}`,
    '/proc/self/environ',
  ])
    await expect(read({ file }), file).rejects.toMatchObject({ code: 'secret_unavailable' });
  await expect(read({ env: 'OTEL_EXPORTER_OTLP_HEADERS' })).rejects.toMatchObject({ code: 'secret_unavailable' });
  // where every pod has the token of its service account, which is the cluster's own way in
  expect(config.privatePaths).toContain('/var/run/secrets/kubernetes.io/serviceaccount');
});

test('what is wrong is said with the variable and the place, never with what is there', async () => {
  const wrong = write('wrong', 'hunter2hunter2');
  for (const [environment, message] of [
    [{ DATABASE_URL: `file:${wrong}` }, /DATABASE_URL leads to file:.*wrong: what is there is not a URL such as/],
    [{ DATABASE_URL: 'file:/nowhere/at/all' }, /DATABASE_URL leads to file:\/nowhere\/at\/all: The secret file .* cannot be read/],
    [{ DATABASE_URL: 'env:NOT_SET' }, /DATABASE_URL leads to env:NOT_SET: .* is not set/],
    [{ DATABASE_URL: 'vault:a/b#c' }, /DATABASE_URL leads to vault:a\/b#c: Vault is not set up/],
    [{ QUARTERDECK_GATEWAY_KEY: `file:${wrong}` }, /QUARTERDECK_GATEWAY_KEY leads to .*: what is there is not 32 bytes in base64/],
  ] as [Record<string, string>, RegExp][]) {
    const refusal = await resolve(environment).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code: 'input_invalid', message: expect.stringMatching(message) });
    expect(String((refusal as Error).message)).not.toContain('hunter2');
  }
  expect(() => readConfig({ QUARTERDECK_CONTENT_KEY: key })).toThrow(
    /QUARTERDECK_CONTENT_KEY cannot be used: expected `file:.*not the value itself/,
  );
  expect(() => readConfig({ QUARTERDECK_CONTENT_KEY: key })).not.toThrow(key);
});

test('a data folder has no file of a key that comes from elsewhere; one that is there has to be the same', async () => {
  for (const name of ['kept', 'data']) mkdirSync(join(folder, name));
  const kept = dataFolderAt(join(folder, 'kept'));
  const elsewhere = await loadKeys(dataFolderAt(join(folder, 'data')), { 'content.key': key, 'gateway.key': key });
  expect([elsewhere.contentKey, elsewhere.gatewayKey]).toEqual([key, key]);
  const own = await loadKeys(kept);
  await expect(loadKeys(kept, { 'content.key': key })).rejects.toThrow(/content\.key leads to a key that lacks a version/);
  const both = `0123456789abcdef:${key} ${own.contentKey}`;
  expect((await loadKeys(kept, { 'content.key': both })).contentKey).toBe(both);
});
