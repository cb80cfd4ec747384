import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, importJWK, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeSigningKey } from '../../control/issuer/make-signing-key.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { companyProvider, machineSecret, type RunningPeople, startRunningPeople } from '../support/running-people.ts';

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const clientId = 'default/default/machine';

let people: RunningPeople;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let toolsetUrl: string;
let platform: { url: string; key: JWK; sign(claims: object, header?: object): Promise<string>; close(): void };

/** An issuer of machines' own tokens: a JWKS and nothing else. */
const startWorkloadIssuer = async () => {
  const key = await makeSigningKey();
  const { d: _private, ...publicKey } = key;
  const http = createServer((_request, response) => response.end(JSON.stringify({ keys: [publicKey] }))).listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/keys`,
    key,
    sign: async (claims: object, header: object = {}) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid: String(key.kid), ...header }).sign(await importJWK(key, 'ES256')),
    close: () => void http.close(),
  };
};
const workload = { issuer: 'https://kubernetes.example.test', subject: 'system:serviceaccount:ci:builder' };

beforeAll(async () => {
  server = await startCountingServer();
  people = await startRunningPeople();
  platform = await startWorkloadIssuer();
  const secret = { clientSecret: { env: 'MACHINE_SECRET' } };
  await people.gateway.apply(
    companyProvider(people.company.issuer, { accepts: { tokenExchange: { audiences: ['the-portal'] }, idJag: true } }),
    { kind: 'OAuthClient', metadata: { name: 'machine' }, spec: { grants: ['client_credentials', 'token-exchange', 'id-jag'], ...secret } },
    { kind: 'OAuthClient', metadata: { name: 'other' }, spec: { grants: ['id-jag'], ...secret } },
    { kind: 'OAuthClient', metadata: { name: 'builder' }, spec: { grants: [], workloads: [{ ...workload, jwksUri: platform.url }] } },
    { kind: 'OAuthClient', metadata: { name: 'public' }, spec: { redirectUris: ['http://127.0.0.1/callback'] } },
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Toolset', metadata: { name: 'narrow' }, spec: { servers: [{ name: 'counting', tools: ['look'] }], naming: 'plain' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'engineers' },
      spec: { subjects: [{ group: 'engineering' }, { person: 'client-default-machine' }], toolsets: ['counting'] },
    },
    {
      kind: 'AccessBinding',
      metadata: { name: 'builders' },
      spec: { subjects: [{ person: 'client-default-builder' }], toolsets: ['narrow'] },
    },
  );
  await people.gateway.ready('counting');
  toolsetUrl = `${people.gateway.publicUrl}/mcp/counting`;
});
afterAll(async () => {
  await people.close();
  await server.close();
  platform.close();
});

const basic = (id = clientId, secret = machineSecret) => ({
  authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
});
const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const refused = { status: 400, body: { error: 'invalid_grant' } };
const refusals = async (isOne: (facts: Record<string, unknown>) => boolean) =>
  people.gateway.auditRow(({ action, decision, facts }) => action === 'exchangeToken' && decision === 'deny' && isOne(facts));

const callCounting = async (token: string) =>
  people.call('/mcp/counting', token, 'tools/call', { name: 'look', arguments: { path: '/ok/a' } });

describe('a company’s assertion for a client (ID-JAG)', () => {
  const idJag = (changes: object = {}, header: object = {}) =>
    people.company.sign(
      {
        iss: people.company.issuer,
        sub: 'u-0001',
        email: 'Ada.Lovelace@example.test',
        teams: ['engineering'],
        aud: people.issuerUrl,
        client_id: clientId,
        resource: toolsetUrl,
        scope: 'mcp',
        jti: randomUUID(),
        iat: nowSeconds(),
        exp: nowSeconds() + 300,
        ...changes,
      },
      { typ: 'oauth-id-jag+jwt', ...header },
    );
  const bring = (assertion: string, more: Record<string, string> = {}, headers: Record<string, string> = basic()) =>
    people.token({ grant_type: jwtBearer, assertion, ...more }, headers);

  test('gives a token of the person for its one resource, which calls a tool there and nowhere else', async () => {
    const { status, body } = await bring(await idJag());
    expect({ status, scope: body.scope }).toEqual({ status: 200, scope: 'mcp' });
    expect(body).not.toHaveProperty('refresh_token');
    expect(decodeJwt(body.access_token)).toMatchObject({
      aud: `${people.gateway.publicUrl}/mcp/default/default/counting`,
      sub: expect.stringMatching(/^default\/ada-lovelace-[0-9a-f]{16}$/),
      client_id: clientId,
    });
    expect((await callCounting(body.access_token)).status).toBe(200);
    expect((await people.call('/mcp/narrow', body.access_token)).status).toBe(401);
    const row = await people.gateway.auditRow(({ action, stamp }) => action === 'callTool' && stamp === 'id-jag');
    expect(row.person).toMatch(/^ada-lovelace-/);
  });

  test('is good once: its second use within its life is refused, and an alert is on record; the assertion is in no log', async () => {
    const assertion = await idJag();
    const uses = await Promise.all(Array.from({ length: 5 }, () => bring(assertion)));
    expect(uses.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const use of uses.filter(({ status }) => status !== 200)) expect(use).toMatchObject(refused);
    expect(await bring(assertion)).toMatchObject(refused);
    const row = await refusals(({ alert }) => alert === 'assertion-replayed');
    expect(row).toMatchObject({ kind: 'refusal', errorCode: 'token_refused', facts: { client: clientId, grant: 'id-jag' } });
    for (const part of [assertion, ...assertion.split('.')]) expect(people.logLines.join('')).not.toContain(part);
    const rows = await people.database.$client.query('select facts::text as text from audit_events');
    expect(JSON.stringify(rows.rows)).not.toContain(assertion.split('.')[2]);
  });

  test.each([
    ['for us, with a resource that is not ours', { resource: 'https://elsewhere.example.test/mcp' }],
    ['with a resource of ours, for another authorization server', { aud: 'https://elsewhere.example.test' }],
    ['for several audiences', () => ({ aud: [people.issuerUrl, 'https://elsewhere.example.test'] })],
    ['given to another client', { client_id: 'default/default/other' }],
    ['that has ended', { iat: nowSeconds() - 400, exp: nowSeconds() - 100 }],
    ['that lives longer than five minutes', { exp: nowSeconds() + 3600 }],
    ['from the future', { iat: nowSeconds() + 300, exp: nowSeconds() + 500 }],
    ['without an id', { jti: undefined }],
    ['without a client', { client_id: undefined }],
    ['of an issuer that nobody declared', { iss: 'https://elsewhere.example.test' }],
  ])('%s is refused', async (_what, changes) => {
    expect(await bring(await idJag(typeof changes === 'function' ? changes() : changes))).toMatchObject(refused);
  });

  test.each([
    ['another type', { typ: 'JWT' }],
    ['the type of an access token', { typ: 'at+jwt' }],
  ])('with %s in its header is refused', async (_what, header) => {
    expect(await bring(await idJag({}, header))).toMatchObject(refused);
  });

  test('needs its client to authenticate, and that one alone', async () => {
    expect((await bring(await idJag(), { client_id: clientId }, {})).status).toBe(401);
    expect((await bring(await idJag(), {}, basic(clientId, 'another-secret-of-many-characters-01234'))).status).toBe(401);
    expect(await bring(await idJag(), {}, basic('default/default/other'))).toMatchObject(refused);
    expect(await bring(await idJag(), {}, {})).toMatchObject(refused);
  });

  test('gives what assertion, request and resource have in common, and nothing in part', async () => {
    expect(await bring(await idJag({ scope: 'api models' }))).toMatchObject({ status: 400, body: { error: 'invalid_scope' } });
    expect(await bring(await idJag({ scope: undefined }))).toMatchObject({ status: 400, body: { error: 'invalid_scope' } });
    expect(await bring(await idJag(), { scope: 'api' })).toMatchObject({ status: 400, body: { error: 'invalid_scope' } });
    expect(await bring(await idJag({ scope: 'mcp api' }), { scope: 'mcp models' })).toMatchObject({ status: 200, body: { scope: 'mcp' } });
    expect(await bring(await idJag(), { resource: `${people.gateway.publicUrl}/mcp/narrow` })).toMatchObject(refused);
  });
});

describe('a company’s token exchanged for ours', () => {
  const companyToken = (changes: object = {}, header: object = {}) =>
    people.company.sign(
      {
        iss: people.company.issuer,
        sub: 'u-0002',
        email: 'bob@example.test',
        teams: ['engineering'],
        aud: 'the-portal',
        iat: nowSeconds(),
        exp: nowSeconds() + 3600,
        ...changes,
      },
      { typ: 'at+jwt', ...header },
    );
  const exchange = (subjectToken: string, more: Record<string, string> = {}, headers = basic()) =>
    people.token(
      {
        grant_type: tokenExchange,
        subject_token: subjectToken,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        resource: toolsetUrl,
        ...more,
      },
      headers,
    );

  test('gives a token of the person, who is the same as at a login, for one resource and ten minutes', async () => {
    const { status, body } = await exchange(await companyToken());
    expect(status).toBe(200);
    expect(body).toMatchObject({ issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', scope: 'mcp' });
    expect(body.expires_in).toBeLessThanOrEqual(600);
    const login = await people.logIn('bob', toolsetUrl);
    expect(decodeJwt(body.access_token).sub).toBe(decodeJwt(login.access_token).sub);
    // that login has said other groups
    expect((await callCounting(body.access_token)).text).toContain('error');
    await exchange(await companyToken());
    await expect.poll(async () => (await callCounting(body.access_token)).text, { timeout: 5000 }).toContain('result');
    // one that says nothing of groups takes none away
    await exchange(await companyToken({ teams: undefined }));
    expect((await people.database.$client.query(`select groups from people where subject = 'u-0002'`)).rows[0]).toEqual({
      groups: ['engineering'],
    });
  });

  test('does not outlive it, and is refused when the person is shut out', async () => {
    const { body } = await exchange(await companyToken({ exp: nowSeconds() + 120 }));
    expect(body.expires_in).toBeLessThanOrEqual(120);
    await people.database.$client.query(`update people set disabled = true where subject = 'u-0002'`);
    expect(await exchange(await companyToken())).toMatchObject(refused);
    await expect.poll(async () => (await people.call('/mcp/counting', body.access_token)).status, { timeout: 5000 }).toBe(401);
    await people.database.$client.query(`update people set disabled = false where subject = 'u-0002'`);
  });

  test.each([
    ['for another audience', { aud: 'another-portal' }, {}],
    ['for us as a client at a login', { aud: 'quarterdeck-at-company' }, {}],
    ['that has ended', { exp: nowSeconds() - 100 }, {}],
    ['that never ends', { exp: undefined }, {}],
    ['by which somebody else acts', { act: { sub: 'somebody' } }, {}],
    ['that is an assertion for a client', {}, { typ: 'oauth-id-jag+jwt' }],
    ['that is a logout token', {}, { typ: 'logout+jwt' }],
    ['of nobody', { sub: undefined }, {}],
  ])('%s is refused', async (_what, changes, header) => {
    expect(await exchange(await companyToken(changes, header))).toMatchObject(refused);
  });

  test('of our own issuer, or with somebody named beside it, is refused; the worker’s own exchange is nobody else’s', async () => {
    const own = await people.logIn('ada', toolsetUrl);
    expect(await exchange(own.access_token)).toMatchObject(refused);
    const actor = { actor_token: await companyToken(), actor_token_type: 'urn:ietf:params:oauth:token-type:access_token' };
    const signed = await companyToken();
    expect(await exchange(signed, { requested_subject: 'ada' })).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    expect(await exchange(signed, actor)).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    expect((await exchange(signed)).status).toBe(200);
    const asWorker = {
      subject_token: 'default/default/survey/run_1/read/reader/0',
      subject_token_type: 'urn:quarterdeck:params:oauth:token-type:agent-run',
    };
    expect((await people.token({ grant_type: tokenExchange, resource: toolsetUrl, ...asWorker }, basic())).status).toBe(400);
  });
});

describe('a machine client', () => {
  const ask = (more: Record<string, string> = {}, headers: Record<string, string> = basic()) =>
    people.token({ grant_type: 'client_credentials', resource: toolsetUrl, ...more }, headers);

  test('gets a token by its secret for one resource, as a person of its own whom bindings name and administrators shut out', async () => {
    const { status, body } = await ask();
    expect(status).toBe(200);
    expect(decodeJwt(body.access_token)).toMatchObject({ sub: 'default/client-default-machine', client_id: clientId });
    expect((await callCounting(body.access_token)).text).toContain('result');
    const ofApi = (await ask({ resource: people.apiResource })).body.access_token;
    expect(await people.askApi('/whoami', ofApi)).toMatchObject({ status: 200, body: { id: 'client-default-machine' } });
    const row = await people.gateway.auditRow(({ action, stamp }) => action === 'callTool' && stamp === 'client');
    expect(row.person).toBe('client-default-machine');
    await people.database.$client.query(`update people set disabled = true where id = 'client-default-machine'`);
    await expect.poll(async () => (await people.call('/mcp/counting', body.access_token)).status, { timeout: 5000 }).toBe(401);
    expect(await ask()).toMatchObject(refused);
    await people.database.$client.query(`update people set disabled = false where id = 'client-default-machine'`);
  });

  test('gets none without its secret, without a resource, for another scope, or by a grant that it was not given', async () => {
    expect((await ask({}, basic(clientId, 'wrong-secret-of-many-characters-0123456'))).status).toBe(401);
    expect((await ask({ client_id: clientId }, {})).status).toBe(401);
    expect(await people.token({ grant_type: 'client_credentials' }, basic())).toMatchObject({
      status: 400,
      body: { error: 'invalid_target' },
    });
    expect(await ask({ scope: 'api' })).toMatchObject({ status: 400, body: { error: 'invalid_scope' } });
    expect((await ask({}, basic('default/default/other'))).status).toBe(400);
    expect((await ask({ client_id: 'default/default/public' }, {})).status).toBe(400);
    expect((await ask({ client_id: 'quarterdeck-cli' }, {})).status).toBe(400);
  });
});

describe('a machine’s own token', () => {
  const narrowUrl = () => `${people.gateway.publicUrl}/mcp/narrow`;
  const own = (changes: object = {}, header: object = {}) =>
    platform.sign(
      {
        iss: workload.issuer,
        sub: workload.subject,
        aud: `${people.issuerUrl}/token`,
        iat: nowSeconds(),
        exp: nowSeconds() + 600,
        ...changes,
      },
      header,
    );
  const bring = (assertion: string, more: Record<string, string> = {}) =>
    people.token({ grant_type: jwtBearer, assertion, resource: narrowUrl(), ...more });

  test('is enough, without client or secret: it is the client that it was declared for', async () => {
    const { status, body } = await bring(await own());
    expect(status).toBe(200);
    expect(decodeJwt(body.access_token)).toMatchObject({ sub: 'default/client-default-builder', client_id: 'default/default/builder' });
    expect((await people.call('/mcp/narrow', body.access_token)).text).toContain('"look"');
    expect(people.logLines.join('')).not.toContain('no client authentication mechanism');
  });

  test.each([
    ['for another audience', { aud: 'https://elsewhere.example.test/token' }, {}],
    ['of another subject', { sub: 'system:serviceaccount:ci:somebody' }, {}],
    ['of another issuer', { iss: 'https://other.example.test' }, {}],
    ['that has ended', { iat: nowSeconds() - 900, exp: nowSeconds() - 100 }, {}],
    ['that lives for a day', { exp: nowSeconds() + 86_400 }, {}],
    ['without a time', { iat: undefined }, {}],
    ['that says it is an assertion for a client', {}, { typ: 'oauth-id-jag+jwt' }],
  ])('%s is refused', async (_what, changes, header) => {
    expect(await bring(await own(changes, header))).toMatchObject(refused);
  });

  test('is judged by the keys that were declared, wherever it says that its keys are', async () => {
    const attacker = await startWorkloadIssuer();
    const { d: _private, ...jwk } = attacker.key;
    const claims = { iss: workload.issuer, sub: workload.subject, aud: people.issuerUrl, iat: nowSeconds(), exp: nowSeconds() + 600 };
    for (const header of [{ jku: attacker.url }, { jwk }, {}])
      expect(await bring(await attacker.sign(claims, header))).toMatchObject(refused);
    attacker.close();
  });

  test('that two clients claim is nobody’s', async () => {
    await people.gateway.apply({
      kind: 'OAuthClient',
      metadata: { name: 'twin' },
      spec: { grants: [], workloads: [{ ...workload, jwksUri: platform.url }] },
    });
    expect(await bring(await own())).toMatchObject(refused);
  });
});
