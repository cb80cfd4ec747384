import { decodeJwt, importJWK, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser } from '../support/browser.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken } from '../support/running-gateway.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

/** The call of one tool takes two things, and a login of the last five minutes; another tool nothing of that. */
const cedar = `@advice("Writing takes a fresh login by two things.")
forbid (principal, action == Quarterdeck::Action::"callTool", resource)
when { !resource.hints.readOnly } unless { context.login.level >= 2 && context.login.age <= 300 };`;

let people: RunningPeople;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let toolsetUrl: string;

beforeAll(async () => {
  server = await startCountingServer();
  people = await startRunningPeople();
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'engineers' }, spec: { subjects: [{ group: 'engineering' }], toolsets: ['counting'] } },
    { kind: 'PolicySet', metadata: { name: 'writing' }, spec: { cedar } },
  );
  await people.gateway.ready('counting');
  toolsetUrl = `${people.gateway.publicUrl}/mcp/counting`;
});
afterAll(async () => {
  await people.close();
  await server.close();
});

const tokenOf = async (changes: Record<string, string> = {}, employee = 'ada', browser = createBrowser()): Promise<string> => {
  const begun = people.request(toolsetUrl, changes);
  const { status, body } = await people.redeem(begun, await people.authorize(begun, employee, browser));
  expect(status).toBe(200);
  return body.access_token;
};
const write = (token: string) => people.call('/mcp/counting', token, 'tools/call', { name: 'act', arguments: { path: '/ok/a' } });
const writeModern = async (token: string, accept = 'application/json, text/event-stream') => {
  const prefix = 'io.modelcontextprotocol';
  const response = await fetch(toolsetUrl, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept,
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'act',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name: 'act',
        arguments: { path: '/ok/a' },
        _meta: {
          [`${prefix}/protocolVersion`]: '2026-07-28',
          [`${prefix}/clientInfo`]: { name: 'tester', version: '1' },
          [`${prefix}/clientCapabilities`]: {},
        },
      },
    }),
  });
  return { status: response.status, challenge: response.headers.get('www-authenticate'), text: await response.text() };
};
const readChallenge = (challenge: string | null) =>
  Object.fromEntries([...(challenge ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));

describe('a policy that asks how the caller has logged in (RFC 9470)', () => {
  test('refuses a weaker login with the challenge that says which one it takes; nothing reaches the server; what asks for none goes through', async () => {
    const token = await tokenOf();
    const before = server.calls.length;
    for (const answer of [await write(token), await writeModern(token), await writeModern(token, 'text/event-stream')]) {
      expect(answer.status).toBe(401);
      expect(readChallenge(answer.challenge)).toMatchObject({
        error: 'insufficient_user_authentication',
        acr_values: '2',
        scope: 'openid mcp',
        resource_metadata: `${people.gateway.publicUrl}/.well-known/oauth-protected-resource/mcp/counting`,
      });
      expect(JSON.parse(answer.text).error.data).toMatchObject({ code: 'login_stale', acr: 2, rule: expect.stringContaining('writing') });
    }
    expect(server.calls.length).toBe(before);
    expect((await people.call('/mcp/counting', token, 'tools/call', { name: 'look', arguments: { path: '/ok/a' } })).status).toBe(200);
    const row = await people.gateway.auditRow(({ errorCode, action }) => errorCode === 'login_stale' && action === 'callTool');
    expect(row).toMatchObject({ decision: 'deny', policies: [expect.stringContaining('writing')] });
  });

  test('lists what it asks that for: whether a login will do is a matter of the moment', async () => {
    expect((await people.call('/mcp/counting', await tokenOf())).text).toContain('"act"');
  });

  test('lets the same person through with the login that the challenge asks for, and their older token not', async () => {
    const browser = createBrowser();
    const weak = await tokenOf({}, 'ada', browser);
    const { acr_values, max_age, scope } = readChallenge((await write(weak)).challenge) as Record<string, string>;
    const strong = await tokenOf(
      { acr_values: acr_values ?? '', scope: scope ?? '', ...(max_age ? { max_age } : {}) },
      'ada&key=yes',
      browser,
    );
    expect(decodeJwt(strong)).toMatchObject({ acr: 'phr' });
    const before = server.calls.length;
    expect((await write(strong)).text).toContain('"result"');
    expect((await writeModern(strong)).status).toBe(200);
    expect(server.calls.length).toBe(before + 2);
    expect((await write(weak)).status).toBe(401);
  });

  test('refuses a strong login that is older than it takes, and asks for a newer one alone', async () => {
    const strong = await tokenOf({ acr_values: '2', scope: 'openid mcp' }, 'ada&key=yes');
    const [key] = people.signingKeys;
    const older = await new SignJWT({ ...decodeJwt(strong), auth_time: Math.floor(Date.now() / 1000) - 301 })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: String(key?.kid) })
      .sign(await importJWK(key as JWK, 'ES256'));
    const { status, challenge } = await write(older);
    const asked = readChallenge(challenge);
    expect({ status, ...asked }).toMatchObject({ status: 401, error: 'insufficient_user_authentication', max_age: '300' });
    expect(asked).not.toHaveProperty('acr_values');
    expect((await write(strong)).status).toBe(200);
  });

  test('refuses whom another login would not help without a challenge, and tokens that say nothing of a login', async () => {
    await people.gateway.apply({
      kind: 'PolicySet',
      metadata: { name: 'never' },
      spec: {
        cedar:
          'forbid (principal, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.paths.contains("/ok/never") };',
      },
    });
    const strong = await tokenOf({ acr_values: '2', scope: 'openid mcp' }, 'ada&key=yes');
    const answer = await pollUntil(async () => {
      const found = await people.call('/mcp/counting', strong, 'tools/call', { name: 'look', arguments: { path: '/ok/never' } });
      return found.text.includes('result') ? undefined : found;
    }, 'the policy');
    expect({ status: answer.status, challenge: answer.challenge }).toEqual({ status: 200, challenge: null });
    expect(answer.text).toContain('argument_refused');
    const admin = await people.call('/mcp/counting', adminToken, 'tools/call', {
      name: 'act',
      arguments: { path: '/ok/a' },
    });
    expect(admin.status).toBe(401);
  });
});
