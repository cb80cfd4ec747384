import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGuardedFetch } from '../../control/issuer/guarded-fetch.ts';
import type { Resolve } from '../../store/guarded-lookup.ts';
import { startDocumentServer, testCertificate } from '../support/document-server.ts';

let documents: Awaited<ReturnType<typeof startDocumentServer>>;
let internal: { port: number; connections: () => number; close(): void };
let redirectTo = '';

beforeAll(async () => {
  documents = await startDocumentServer((_request, response) => void response.writeHead(302, { location: redirectTo }).end());
  let connections = 0;
  const server = createServer((_request, response) => void response.end('inner')).on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  internal = { port: (server.address() as AddressInfo).port, connections: () => connections, close: () => void server.close() };
});
afterAll(() => {
  documents.close();
  internal.close();
});

/** Names that anybody can have point at an inner address, and one that changes its mind. */
const answering =
  (byHost: Record<string, string[]>): Resolve =>
  (host, _options, answer) => {
    const addresses = byHost[host] ?? ['127.0.0.1'];
    answer(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };

const hosts = [
  '127.0.0.1', '127.1', '127.0.1', '127.127.127.127', '2130706433', '0x7f000001', '0x7f.0.0.1', '0x7f.1', '0177.0.0.1', '0177.0.0.01',
  '00177.1', '017700000001', '127.0.0.1.', 'localhost', 'LOCALHOST', 'localhost.', 'LocalHost.', '0', '0.0.0.0', '00.00.00.00',
  '[::1]', '[::]', '[0:0:0:0:0:0:0:1]', '[0000::0001]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::FFFF:7F00:0001]', '[0:0:0:0:0:ffff:7f00:1]',
  '[::127.0.0.1]', '[::7f00:1]', '[64:ff9b::7f00:1]', '[64:ff9b::127.0.0.1]', '[64:ff9b:1::7f00:1]', '[2002:7f00:1::]', '[2002:7f00:0001::1]',
  '[2001:0:7f00:1::]', '[fe80::1]', '[fd00::1]', '[fc00::1]', '[fec0::1]', '[ff02::1]', '[fd00:ec2::254]',
  '①②⑦.⓪.⓪.①', '１２７.0.0.1', '127。0。0。1', '127%2e0%2e0%2e1', 'loc%61lhost', 'ⓛocalhost',
  '169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '169.254.43518',
  '10.0.0.1', '10.1', '172.16.0.1', '192.168.1.1', '192.168.257', '100.64.0.1', '100.100.100.200', '168.63.129.16', '224.0.0.1', '255.255.255.255',
  'inner.example.test', 'seven.example.test', 'mapped.example.test', 'nat.example.test', 'mixed.example.test',
]; // biome-ignore format: one look at the list

test('none of 60 ways to write an inner address leads there, names that resolve to one included', async () => {
  expect(hosts.length).toBeGreaterThanOrEqual(60);
  const resolve = answering({
    'inner.example.test': ['10.0.0.1'],
    'seven.example.test': ['127.0.0.1'],
    'mapped.example.test': ['::ffff:127.0.0.1'],
    'nat.example.test': ['64:ff9b::7f00:1'],
    'mixed.example.test': ['8.8.8.8', '127.0.0.1'],
  });
  const guarded = createGuardedFetch({ allowsLoopback: false, authorities: testCertificate, resolve });
  const before = documents.connections();
  for (const host of hosts)
    for (const port of [documents.port, internal.port]) {
      const refusal = await guarded(`https://${host}:${port}/x`).then(
        () => 'answered',
        (error: Error) => `${error.message} ${(error.cause as Error | undefined)?.message ?? ''}`,
      );
      expect(refusal, host).toContain('not on the public internet');
    }
  expect(documents.connections()).toBe(before);
  expect(internal.connections()).toBe(0);
});

test('a name that is public when it is looked up first and 169.254.169.254 afterwards is looked up once, and connected to where it was checked', async () => {
  const looked: string[] = [];
  const resolve: Resolve = (host, _options, answer) => {
    looked.push(host);
    answer(null, [{ address: looked.length === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
  };
  // loopback plays the public side: the certificate is for `localhost`
  const guarded = createGuardedFetch({ allowsLoopback: true, authorities: testCertificate, resolve });
  redirectTo = '/again';
  expect((await guarded(`https://localhost:${documents.port}/first`)).status).toBe(302);
  expect(looked).toEqual(['localhost']);
  const before = documents.connections();
  const fresh = createGuardedFetch({ allowsLoopback: true, authorities: testCertificate, resolve });
  await expect(fresh(`https://localhost:${documents.port}/second`)).rejects.toMatchObject({
    cause: { message: expect.stringContaining('not on the public internet') },
  });
  expect(documents.connections()).toBe(before);
});

test('a redirect from an allowed host to an inner one is not followed: it comes back as it is, and nobody asks the second host', async () => {
  const guarded = createGuardedFetch({ allowsLoopback: true, authorities: testCertificate });
  for (const target of [
    `http://127.0.0.1:${internal.port}/`,
    'http://169.254.169.254/latest/meta-data/',
    `https://localhost:${documents.port}/two`,
  ]) {
    redirectTo = target;
    const asked = documents.paths.length;
    const answer = await guarded(`${documents.url}/one`, { redirect: 'follow' });
    expect(answer.status).toBe(302);
    expect(documents.paths.slice(asked)).toEqual(['/one']);
  }
  expect(internal.connections()).toBe(0);
});
