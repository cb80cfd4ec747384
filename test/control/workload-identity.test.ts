import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type CryptoKey, createRemoteJWKSet, decodeJwt, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type BackendIssuer, startBackendIssuer, workloadClient } from '../support/backend-issuer.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type ProtectedServer, startProtectedServer } from '../support/protected-server.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

const cluster = 'https://cluster.example';
const workload = 'system:serviceaccount:quarterdeck:gateway';
let people: RunningPeople;
/** Trusts the cluster; the other one trusts our own issuer. */
let issuer: BackendIssuer;
let ours: BackendIssuer;
let server: ProtectedServer;
let folder: string;
let key: CryptoKey;

const sign = (claims: JWTPayload = {}): Promise<string> => {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ iss: cluster, sub: workload, aud: issuer.issuer, iat: now, exp: now + 600, ...claims })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(key);
};
/** As a cluster renews a projected token: another file in the place of the old one. */
const project = async (token: string): Promise<void> => {
  await writeFile(join(folder, 'next'), token);
  await rename(join(folder, 'next'), join(folder, 'token'));
};
const declare = (name: string, auth: object, url = server.url) =>
  people.gateway.apply(
    { kind: 'McpServer', metadata: { name }, spec: { url, auth: { kind: 'workloadIdentity', ...auth }, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name }, spec: { subjects: [{ group: 'engineering' }], toolsets: [name] } },
  );
/** What the gateway gets for its own looks. */
const ask = async (name: string, isRefused = false) => {
  const response = await fetch(`${people.issuerUrl}/credentials`, {
    method: 'POST',
    headers: { authorization: `Bearer ${people.gatewayKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...(await people.credentialRequest(name, 'service')), isRefused }),
  });
  return (await response.json()) as { value?: string; code?: string; detail?: string };
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quarterdeck-workload-'));
  people = await startRunningPeople();
  const pair = await generateKeyPair('ES256');
  key = pair.privateKey;
  issuer = await startBackendIssuer({ takesWorkloadsOf: { issuer: cluster, subject: workload, keys: async () => pair.publicKey } });
  const keys = createRemoteJWKSet(new URL(people.jwksUri));
  ours = await startBackendIssuer({ takesWorkloadsOf: { issuer: people.issuerUrl, subject: 'mcpserver:default/default/ours', keys } });
  server = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri });
  await project(await sign());
  await declare('federated', { issuer: issuer.issuer, client: { id: workloadClient }, assertion: { file: join(folder, 'token') } });
});
afterAll(async () => {
  await people.close();
  await server.close();
  issuer.close();
  ours.close();
  await rm(folder, { recursive: true });
});

test('a server is sent the token that its issuer gave for the workload’s JWT, and the JWT goes nowhere else', async () => {
  await people.gateway.ready('federated');
  const { access_token: token } = await people.logIn('ada', `${people.gateway.publicUrl}/mcp/federated`);
  await pollUntil(async () => {
    const { text } = await people.call('/mcp/federated', token, 'tools/call', { name: 'look', arguments: {} });
    return text.includes('of look') || undefined;
  }, 'a call goes through');
  expect(server.seen.at(-1)?.claims).toMatchObject({ sub: workload, aud: server.url, iss: issuer.issuer });
  const [first] = issuer.seen;
  const assertion = String(first?.form.get('assertion'));
  expect(first?.form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
  expect(decodeJwt(assertion)).toMatchObject({ sub: workload });
  expect(JSON.stringify([server.seen, people.logLines])).not.toContain(assertion.split('.')[2]);
});

test('a file that was renewed is read anew for the next token', async () => {
  await project(await sign({ jti: 'renewed' }));
  expect((await ask('federated')).value).toMatch(/^Bearer /);
  expect(decodeJwt(String(issuer.seen.at(-1)?.form.get('assertion')))).toMatchObject({ jti: 'renewed' });
});

describe('a JWT that will not do is not sent to the issuer', () => {
  let before: number;
  beforeEach(() => {
    before = issuer.seen.length;
  });

  test.each([
    ['for somebody else', { aud: 'https://kubernetes.default.svc' }, 'is not for'],
    ['for nobody', { aud: undefined }, 'is not for'],
    ['that has ended', { exp: Math.floor(Date.now() / 1000) - 60 }, 'ended at'],
    ['without an end', { exp: undefined }, 'never ends'],
  ])('one %s', async (_what, claims, said) => {
    await project(await sign(claims));
    expect(await ask('federated')).toMatchObject({ code: 'credential_refused', detail: expect.stringContaining(said) });
    expect(issuer.seen).toHaveLength(before);
  });

  test('something else than a JWT, or no file at all', async () => {
    await project('no token');
    expect(await ask('federated')).toMatchObject({ code: 'credential_refused', detail: expect.stringContaining('no JWT') });
    await rm(join(folder, 'token'));
    expect(await ask('federated')).toMatchObject({ code: 'secret_unavailable' });
    expect(issuer.seen).toHaveLength(before);
  });

  test('unless it is declared for whom it is', async () => {
    const client = { id: workloadClient };
    await writeFile(join(folder, 'named'), await sign({ aud: 'sts.example' }));
    await declare('named', { issuer: issuer.issuer, client, assertion: { file: join(folder, 'named') }, audience: 'sts.example' });
    // this issuer wants its own name there: it was asked, and says so
    await pollUntil(async () => ((await ask('named')).detail?.includes('invalid_grant') ? true : undefined), 'it is refused');
  });
});

test('a token that its issuer gives for another audience than the server’s is not passed on', async () => {
  await project(await sign());
  const foreign = await sign({ iss: issuer.issuer, aud: 'https://elsewhere.example.test' });
  issuer.state.answers = { access_token: foreign };
  try {
    const answer = await ask('federated', true);
    expect(answer).toMatchObject({ code: 'credential_refused', detail: expect.stringContaining('for another audience') });
    expect(answer).not.toHaveProperty('value');
  } finally {
    issuer.state.answers = {};
  }
  expect((await ask('federated', true)).value).toMatch(/^Bearer ./);
});

test('what an issuer refuses is refused: the request is not repeated, and no other grant is tried', async () => {
  const assertion = await sign({ sub: 'system:serviceaccount:other:one', jti: 'stranger' });
  await project(assertion);
  expect(await ask('federated')).toMatchObject({ code: 'credential_refused', detail: expect.stringContaining('invalid_grant') });
  // the gateway itself looks at servers meanwhile, with whatever the file has then
  expect(issuer.seen.filter(({ form }) => form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer')).toEqual([]);
  await project('no token');
  expect(issuer.seen.filter(({ form }) => form.get('assertion') === assertion && form.get('resource') === server.url)).toHaveLength(1);
});

test('without a JWT of a machine our own issuer vouches for us, for that server and that issuer alone', async () => {
  await declare('ours', { issuer: ours.issuer, client: { id: workloadClient } }, server.url);
  // the server names another issuer, and gets nothing of that one
  expect(await ask('ours')).toMatchObject({ code: 'server_drifted' });
  const there = await startProtectedServer({ issuer: ours.issuer, jwksUri: ours.jwksUri });
  await declare('ours', { issuer: ours.issuer, client: { id: workloadClient } }, there.url);
  await people.gateway.ready('ours');
  expect(there.seen.at(-1)?.claims).toMatchObject({ sub: 'mcpserver:default/default/ours', iss: ours.issuer, aud: there.url });
  const said = decodeJwt(String(ours.seen.at(-1)?.form.get('assertion')));
  expect(said).toMatchObject({ iss: people.issuerUrl, sub: 'mcpserver:default/default/ours', aud: ours.issuer });
  expect(Number(said.exp) - Number(said.iat)).toBeLessThanOrEqual(60);
  await there.close();
});

test('an issuer that wants no client is sent none', async () => {
  const forms: URLSearchParams[] = [];
  const small = createServer(async (request, response) => {
    const form = new URLSearchParams(await text(request));
    if (request.url === '/token') forms.push(form);
    const metadata = { issuer: smallIssuer, token_endpoint: `${smallIssuer}/token`, response_types_supported: [] };
    const body = request.url === '/token' ? { access_token: 'opaque', token_type: 'Bearer', expires_in: 60 } : metadata;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(small, 'listening');
  const smallIssuer = `http://127.0.0.1:${(small.address() as AddressInfo).port}`;
  const there = await startProtectedServer({ issuer: smallIssuer, jwksUri: `${smallIssuer}/jwks` });
  await writeFile(join(folder, 'small'), await sign({ aud: `${smallIssuer}/` }));
  await declare('clientless', { issuer: smallIssuer, assertion: { file: join(folder, 'small') }, scopes: ['tools.read'] }, there.url);
  expect(await ask('clientless')).toMatchObject({ value: 'Bearer opaque' });
  expect([...(forms[0]?.keys() ?? [])].sort()).toEqual(['assertion', 'grant_type', 'resource', 'scope']);
  await there.close();
  small.close();
  small.closeAllConnections();
});
