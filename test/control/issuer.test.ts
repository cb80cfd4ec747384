import { request } from 'node:http';
import { connect } from 'node:net';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { AgentForToken } from '../../control/issuer/agent-directory.ts';
import { makeSigningKey } from '../../control/issuer/make-signing-key.ts';
import { startIssuer } from '../../control/issuer/start-issuer.ts';
import { createStatelessAdapter } from '../../control/issuer/stateless-adapter.ts';
import { workerJoinGrant } from '../../schema/worker-proof.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { createMemoryWorkerKeys } from '../support/memory-worker-keys.ts';
import {
  agentId,
  joinKey,
  modelsUrl,
  type RunningIssuer,
  resourceBase,
  runningAgent,
  startRunningIssuer,
  toolsetUrl,
} from '../support/running-issuer.ts';

let now = new Date('2026-10-01T12:00:00.400Z');
let issuer: RunningIssuer;

beforeAll(async () => {
  issuer = await startRunningIssuer({ clock: () => now });
});
afterAll(() => issuer.close());
beforeEach(() => {
  now = new Date('2026-10-01T12:00:00.400Z');
  issuer.rows.clear();
  issuer.rows.set(agentId, runningAgent);
  issuer.lookUp.fails = false;
  issuer.logLines.length = 0;
});

const setAgent = (change: Partial<AgentForToken>) => issuer.rows.set(agentId, { ...runningAgent, ...change });

const get = async (path: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${issuer.issuerUrl}${path}`, { headers, redirect: 'manual' });
  return { status: response.status, text: await response.text() };
};

describe('a token of an agent run', () => {
  test('is a JWT of RFC 9068 for the person, acted by the agent, for one audience and five minutes', async () => {
    const { status, body, headers } = await issuer.exchange();
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      access_token: expect.any(String),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 300,
      scope: 'mcp',
    });
    const token = String(body.access_token);
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: issuer.signingKeys[0]?.kid });
    const iat = Date.parse('2026-10-01T12:00:00Z') / 1000;
    expect(decodeJwt(token)).toEqual({
      iss: issuer.issuerUrl,
      aud: toolsetUrl,
      sub: 'default/admin',
      act: { sub: agentId },
      client_id: 'worker',
      jti: expect.any(String),
      iat,
      exp: iat + 300,
      org: 'default',
      project: 'default',
      fleet: 'survey',
      run: 'run_1',
      role: 'reader',
      scope: 'mcp',
    });
    const keys = JSON.parse((await get('/jwks')).text) as JSONWebKeySet;
    await expect(jwtVerify(token, createLocalJWKSet(keys), { currentDate: now })).resolves.toBeDefined();
  });

  test('opens the models for the audience /v1, and each has its own id', async () => {
    const [first, second] = [decodeJwt(await issuer.mint({ resource: modelsUrl })), decodeJwt(await issuer.mint({ resource: modelsUrl }))];
    expect(first).toMatchObject({ aud: modelsUrl, scope: 'models' });
    expect(first.jti).not.toBe(second.jti);
  });

  test('does not outlive the time of its run', async () => {
    setAgent({ endsAt: new Date('2026-10-01T12:01:30.900Z') });
    const { body } = await issuer.exchange();
    expect(body.expires_in).toBe(90);
    const { iat = 0, exp = 0 } = decodeJwt(String(body.access_token));
    expect(exp - iat).toBe(90);
  });

  test('may be asked for with the scope and type that it has anyway', async () => {
    const requested_token_type = 'urn:ietf:params:oauth:token-type:access_token';
    expect((await issuer.exchange({ scope: 'mcp', requested_token_type, client_id: 'worker' })).status).toBe(200);
  });
});

describe('no token is minted', () => {
  const refusals: [string, Partial<AgentForToken>][] = [
    ['whose run has ended', { runState: 'completed' }],
    ['whose run is still starting', { runState: 'starting' }],
    ['that has ended', { agentState: 'completed' }],
    ['that is parked', { agentState: 'parked' }],
    ['whose launch was not authorised', { launchAuthorised: false }],
    ['whose time is over', { endsAt: new Date('2026-10-01T12:00:00.000Z') }],
    ['of another trust tier', { taskQueueTier: 'apply' }],
    ['whose row carries another id', { agentId: `${agentId}0` }],
  ];
  test.each(refusals)('for an agent %s', async (_case, change) => {
    setAgent(change);
    const { status, body } = await issuer.exchange();
    expect([status, body]).toEqual([400, { error: 'invalid_grant', error_description: 'grant request is invalid' }]);
  });

  test('for an agent that is halted, which its worker is told, so that it waits', async () => {
    setAgent({ isHalted: true });
    const { status, body } = await issuer.exchange();
    expect([status, body]).toEqual([400, { error: 'access_denied', error_description: 'halted' }]);
  });

  test('for an agent that got one before its run ended', async () => {
    expect((await issuer.exchange()).status).toBe(200);
    setAgent({ runState: 'cancelled' });
    expect((await issuer.exchange()).body.error).toBe('invalid_grant');
  });

  test('for an agent whose run was revoked, however it is called', async () => {
    setAgent({ revoked: true });
    expect((await issuer.exchange()).body.error).toBe('invalid_grant');
  });

  test('for what the person of the run may not use, nor any part of it', async () => {
    setAgent({ personScopes: ['models'] });
    for (const parameters of [{}, { scope: 'mcp' }, { scope: 'mcp models' }]) {
      const { status, body } = await issuer.exchange(parameters);
      expect([status, body.error]).toEqual([400, 'invalid_scope']);
      expect(body).not.toHaveProperty('access_token');
    }
    expect((await issuer.exchange({ resource: modelsUrl })).body).toMatchObject({ scope: 'models' });
    setAgent({ personScopes: [] });
    expect((await issuer.exchange({ resource: modelsUrl })).body.error).toBe('invalid_scope');
  });

  test('for an agent that nobody launched, with the same words as for one that has ended', async () => {
    const unknown = await issuer.exchange({ subject_token: 'default/default/survey/run_2/read/reader/0' });
    setAgent({ runState: 'completed' });
    expect(unknown.body).toEqual((await issuer.exchange()).body);
  });

  const foreign = [
    `${resourceBase}/mcp/default/default/secrets`,
    `${resourceBase}/mcp/default/other/files`,
    `${resourceBase}/mcp/files`,
    `${resourceBase}/mcp`,
    resourceBase,
    `${toolsetUrl}/`,
    `${toolsetUrl}/../secrets`,
    `${toolsetUrl}?toolset=secrets`,
    `${toolsetUrl}#x`,
    toolsetUrl.toUpperCase(),
    `${modelsUrl}/chat/completions`,
    'http://127.0.0.1:7421/api',
    'https://elsewhere.example/mcp/default/default/files',
    '*',
  ];
  test.each(foreign)('for the audience %s, which is not one of the agent', async (resource) => {
    const { status, body } = await issuer.exchange({ resource });
    expect([status, body.error]).toEqual([400, 'invalid_target']);
  });

  test.each([
    ['none', undefined],
    ['an empty one', ''],
    ['two', [toolsetUrl, modelsUrl]],
    ['the same one twice', [toolsetUrl, toolsetUrl]],
  ])('unless exactly one resource is named, not %s', async (_case, resource) => {
    const { status, body } = await issuer.exchange({ resource });
    expect([status, body.error]).toEqual([400, 'invalid_target']);
  });

  test.each([
    'sub',
    'subject',
    'act',
    'actor',
    'may_act',
    'audience',
    'run',
    'role',
    'org',
    'claims',
    'authorization_details',
    'client_secret',
  ])('when the worker asserts %s', async (parameter) => {
    const { status, body } = await issuer.exchange({ [parameter]: 'default/reviewer' });
    expect([status, body.error]).toEqual([400, 'invalid_request']);
    expect(JSON.stringify(body)).not.toContain('reviewer');
  });

  test.each(['mcp models', 'models', 'openid', 'admin', 'mcp mcp', ' '])(
    'for the scope "%s", wider or other than the audience has',
    async (scope) => {
      const { status, body } = await issuer.exchange({ scope });
      expect([status, body.error]).toEqual([400, 'invalid_scope']);
    },
  );

  test.each([
    ['another type of subject token', { subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' }],
    ['another type of requested token', { requested_token_type: 'urn:ietf:params:oauth:token-type:id_token' }],
    ['no subject token', { subject_token: undefined }],
    ['two subject tokens', { subject_token: [agentId, agentId] }],
    ['a subject token with a null byte', { subject_token: `${agentId}\0` }],
    ['a subject token of a kilobyte', { subject_token: 'a'.repeat(1_024) }],
  ])('for %s', async (_case, parameters) => {
    const { status, body } = await issuer.exchange(parameters);
    expect([status, body.error]).toEqual([400, 'invalid_request']);
  });

  test.each(['client_credentials', 'authorization_code', 'refresh_token', 'password', 'implicit'])(
    'by the grant %s',
    async (grant_type) => {
      const { status, body } = await issuer.exchange({ grant_type });
      expect([status, body.error]).toEqual([400, 'unsupported_grant_type']);
    },
  );

  test('to an unknown client, to one with a secret, and to one that proves nothing', async () => {
    const basic = `Basic ${Buffer.from('worker:a-secret-that-is-guessed').toString('base64')}`;
    for (const [parameters, headers] of [
      [{ client_id: 'intruder' }, {}],
      [{ client_id: undefined }, { authorization: basic }],
    ] as const) {
      const { status, body } = await issuer.exchange(parameters, headers);
      expect([status, body.error]).toEqual([401, 'invalid_client']);
    }
    for (const parameters of [{ actor_token: undefined }, { actor_token_type: undefined }, { client_id: undefined }]) {
      const { status, body } = await issuer.exchange(parameters);
      expect([status, body.error]).toEqual([400, 'invalid_request']);
    }
  });

  test('when the agents cannot be looked up; the worker sees that it may try again', async () => {
    issuer.lookUp.fails = true;
    const { status, body } = await issuer.exchange();
    expect([status, body.error]).toEqual([503, 'server_error']);
    expect(JSON.stringify(body)).not.toContain('database');
    expect(issuer.logLines.join()).toContain('the database is away');
  });

  test('to a page of a browser, whatever its Origin', async () => {
    const { status, headers } = await issuer.exchange({}, { origin: 'http://evil.example' });
    expect(status).toBe(400);
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });
});

test('gives a worker of the tier the token that a worker of another tier is refused', async () => {
  const applyIssuer = await startRunningIssuer({ workerTier: 'apply' });
  try {
    expect((await applyIssuer.exchange()).body.error).toBe('invalid_grant');
    applyIssuer.rows.set(agentId, { ...runningAgent, taskQueueTier: 'apply' });
    expect((await applyIssuer.exchange()).status).toBe(200);
  } finally {
    await applyIssuer.close();
  }
});

describe('what the issuer serves', () => {
  test('is the same metadata at both well-known paths, with its own addresses and nothing that is off', async () => {
    const documents = await Promise.all(['oauth-authorization-server', 'openid-configuration'].map((name) => get(`/.well-known/${name}`)));
    for (const { status, text } of documents) {
      expect(status).toBe(200);
      expect(JSON.parse(text)).toEqual({
        issuer: issuer.issuerUrl,
        token_endpoint: `${issuer.issuerUrl}/token`,
        jwks_uri: `${issuer.issuerUrl}/jwks`,
        grant_types_supported: ['urn:ietf:params:oauth:grant-type:token-exchange', workerJoinGrant],
        response_types_supported: [],
        scopes_supported: ['mcp', 'models'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
        token_endpoint_auth_methods_supported: ['none'],
      });
    }
  });

  test('is the public half of each key, older ones included', async () => {
    const signingKeys = [await makeSigningKey(), await makeSigningKey()];
    const rotated = await startRunningIssuer({ signingKeys });
    try {
      const { keys } = (await (await fetch(rotated.jwksUri)).json()) as JSONWebKeySet;
      expect(keys.map(({ kid }) => kid)).toEqual(signingKeys.map(({ kid }) => kid));
      for (const key of keys) expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
      expect(decodeProtectedHeader(await rotated.mint()).kid).toBe(signingKeys[0]?.kid);
    } finally {
      await rotated.close();
    }
  });

  test.each([
    '/',
    '/auth?client_id=worker&response_type=code',
    '/auth/x',
    '/me',
    '/reg',
    '/request',
    '/token/introspection',
    '/token/revocation',
    '/session/end',
    '/session/end/confirm',
    '/interaction/x',
    '/device',
    '/Token',
    '/token/',
  ])('is nothing at %s', async (path) => {
    expect((await get(path)).status).toBe(404);
    expect((await fetch(`${issuer.issuerUrl}${path}`, { method: 'POST', redirect: 'manual' })).status).toBe(404);
  });

  test('is refused under a foreign Host and in absolute form, so that a rebound name gets no answer', async () => {
    const { port } = issuer;
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1', `127.0.0.1:${port + 1}`, `localhost.evil:${port}`]) {
      const status = await new Promise((resolve, reject) => {
        request({ host: '127.0.0.1', port, path: '/jwks', headers: { host } }, (response) => resolve(response.resume().statusCode))
          .on('error', reject)
          .end();
      });
      expect(status).toBe(403);
    }
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(
          `GET http://evil.example/.well-known/openid-configuration HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
        );
      });
      let text = '';
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      socket.on('end', () => resolve(text)).on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer).not.toContain('evil');
  });

  test('is refused as JSON even to a browser', async () => {
    const { status, body } = await issuer.exchange({ resource: 'x' }, { accept: 'text/html' });
    expect([status, body.error]).toEqual([400, 'invalid_target']);
  });
});

test('logs the reason of a refusal and never a token, a secret or what was sent in place of an agent id', async () => {
  const token = await issuer.mint();
  setAgent({ runState: 'completed' });
  await issuer.exchange();
  const [proof, joinToken] = [await issuer.prove(), await issuer.joinToken()];
  await issuer.exchange({ actor_token: `${proof}guessed` });
  await issuer.exchange({ actor_token: joinToken });
  // a whole JWT is longer than an agent id may be; its parts are not
  const pasted = token.slice(0, 300);
  await issuer.exchange({ subject_token: pasted });
  const log = issuer.logLines.join('\n');
  expect(log).toContain('run_not_running');
  expect(log).toContain('proof_not_valid');
  expect(log).toContain(agentId);
  for (const secret of [token, pasted, proof, joinToken, joinKey, String(issuer.signingKeys[0]?.d)]) expect(log).not.toContain(secret);
});

test('stores nothing for a token: the adapter takes no write, and minting goes on', async () => {
  const adapter = createStatelessAdapter();
  await expect(adapter.upsert('id', {}, 1)).rejects.toThrow(/no state/);
  await expect(adapter.find('id')).resolves.toBeUndefined();
  const statuses = await Promise.all(Array.from({ length: 200 }, async () => (await issuer.exchange()).status));
  expect(new Set(statuses)).toEqual(new Set([200]));
});

test('does not start on a taken port or with keys that cannot sign, and says why', async () => {
  const { port, issuerUrl, signingKeys, workers } = issuer;
  const config = { port, issuerUrl, resourceBase, signingKeys, workers };
  const dependencies = {
    agents: { findForToken: async () => undefined },
    workerKeys: createMemoryWorkerKeys(),
    logger: createLogger({ name: 'test' }),
  };
  const attempt = (change: object) => startIssuer({ ...config, ...change }, dependencies);
  await expect(attempt({})).rejects.toMatchObject({ code: 'port_taken' });
  const publicOnly = { ...signingKeys[0], d: undefined };
  for (const change of [
    { signingKeys: [] },
    { signingKeys: [publicOnly] },
    { issuerUrl: `${issuerUrl}/` },
    { resourceBase: `${resourceBase}/` },
    { workers: { joinKey: 'short' } },
  ]) {
    await expect(attempt(change)).rejects.toMatchObject({ code: 'input_invalid' });
  }
});

test('makes signing keys that are private ES256 keys, each with its thumbprint as id', async () => {
  const [first, second] = [await makeSigningKey(), await makeSigningKey()];
  expect(first).toMatchObject({
    kty: 'EC',
    crv: 'P-256',
    alg: 'ES256',
    use: 'sig',
    d: expect.any(String),
    kid: expect.stringMatching(/^[\w-]{43}$/),
  });
  expect(first.kid).not.toBe(second.kid);
});

test('prints none of the library’s warnings about defaults for development', async () => {
  const printed = (['info', 'warn', 'error', 'log'] as const).map((method) => vi.spyOn(console, method));
  const quiet = await startRunningIssuer();
  try {
    await quiet.exchange();
    await quiet.exchange({ resource: 'x' }, { accept: 'text/html' });
    await quiet.exchange({}, { origin: 'http://evil.example' });
    await quiet.exchange({ client_id: 'intruder' });
    for (const path of ['jwks', '.well-known/openid-configuration', 'auth', 'me']) await fetch(`${quiet.issuerUrl}/${path}`);
  } finally {
    await quiet.close();
  }
  for (const spy of printed) expect(spy.mock.calls).toEqual([]);
});
