import { request as plainRequest } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { adminToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';
import { server } from '../support/sample-resources.ts';

let api: RunningApi;
let production: RunningApi;
beforeAll(async () => {
  api = await startRunningApi();
  production = await startRunningApi({ profile: 'production' });
});
afterAll(async () => {
  await api.close();
  await production.close();
});

/** Sends headers that `fetch` would not let through, and no body however long it says it is. */
const send = (headers: Record<string, string>, method = 'POST'): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const outgoing = plainRequest({ port: api.port, host: '127.0.0.1', path: '/api/v1alpha1/apply', method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.on('end', () => {
        outgoing.destroy();
        resolve({ status: response.statusCode ?? 0, text });
      });
    });
    outgoing.on('error', reject);
    outgoing.flushHeaders();
  });

test('refuses a foreign Origin before it reads the body', async () => {
  const { status, text } = await send({
    host: `127.0.0.1:${api.port}`,
    origin: 'https://elsewhere.example',
    'content-length': '1000',
    authorization: `Bearer ${adminToken}`,
  });
  expect(status).toBe(403);
  expect(JSON.parse(text).code).toBe('not_permitted');
});

test('refuses a Host that is not its own, as after a rebinding of a name', async () => {
  expect((await send({ host: `evil.example:${api.port}`, authorization: `Bearer ${adminToken}` })).status).toBe(403);
});

test('accepts its own origin and that of the gateway, and never sends CORS headers', async () => {
  for (const origin of [api.url, `http://localhost:${api.port}`, `http://127.0.0.1:${api.port - 1}`]) {
    const { status, headers } = await api.request('GET', '/whoami', { headers: { origin } });
    expect(status).toBe(200);
    expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  }
});

test('asks for a token before it reads the body', async () => {
  const { status, text } = await send({ host: `127.0.0.1:${api.port}`, 'content-length': '1000' });
  expect(status).toBe(401);
  expect(JSON.parse(text)).toMatchObject({ code: 'not_authenticated', status: 401 });
});

test('refuses unknown tokens with a challenge', async () => {
  const { status, headers, body } = await api.request('GET', '/whoami', { token: 'not-a-token-of-anybody' });
  expect({ status, code: body.code }).toEqual({ status: 401, code: 'token_refused' });
  expect(headers.get('www-authenticate')).toMatch(/^Bearer/);
});

test('refuses the token of the installation in production', async () => {
  expect((await production.request('GET', '/whoami', { token: adminToken })).body.code).toBe('token_refused');
  expect((await production.request('GET', '/whoami', { token: reviewerToken })).status).toBe(200);
});

test.each([
  ['no JSON', '{', {}, 'request_invalid', 'The body is not JSON.'],
  ['another content type', '{}', { 'content-type': 'text/plain' }, 'request_invalid', 'content-type: application/json'],
  ['no documents', '{}', {}, 'request_invalid', 'documents'],
  ['an unknown member', '{"documents":[1],"force":true}', {}, 'request_invalid', 'force'],
  ['a body nested too deep', `{"documents":[${'['.repeat(20_000)}${']'.repeat(20_000)}]}`, {}, 'request_invalid', 'nested deeper'],
  ['a document that is no object', '{"documents":[1]}', {}, 'resource_invalid', 'expected a resource'],
])('answers %s with problem details', async (_what, body, headers, code, detail) => {
  const answer = await api.request('POST', '/apply', { body, headers });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.body.code).toBe(code);
  expect(answer.body.detail).toContain(detail);
  expect(answer.body.type).toBe(`https://quarterdeck.dev/errors/${code}`);
});

test('refuses a body of more than 4 MiB', async () => {
  const { status, body } = await api.request('POST', '/apply', { body: { documents: ['x'.repeat(4 * 1024 * 1024)] } });
  expect({ status, code: body.code }).toEqual({ status: 413, code: 'request_too_large' });
});

test('takes a large body below the limit', async () => {
  const annotations = Object.fromEntries(Array.from({ length: 700 }, (_, index) => [`note-${index}`, 'x'.repeat(4000)]));
  expect((await api.apply({ ...server('large'), metadata: { name: 'large', annotations } })).status).toBe(200);
});

test('answers a path that is not there with problem details, and tells its health without a token', async () => {
  expect((await api.request('GET', '/nothing/here/at/all')).body.code).toBe('not_found');
  const health = await fetch(`${api.url}/api/healthz`);
  expect(await health.json()).toEqual({ status: 'ok' });
});

test('says that its port is taken', async () => {
  await expect(startRunningApi({ port: api.port })).rejects.toMatchObject({ code: 'port_taken' });
});
