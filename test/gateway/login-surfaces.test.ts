import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backendClient, startBackendIssuer } from '../support/backend-issuer.ts';
import { createBrowser } from '../support/browser.ts';
import { startProtectedServer } from '../support/protected-server.ts';
import { type RawMcpServer, startRawMcpServer } from '../support/raw-mcp-server.ts';
import { type RawProvider, sendJson, startRawProvider, wholeAnswer } from '../support/raw-provider.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

/** What takes a login by two things, beside tools, which `login-policies.test.ts` has. */
const weak = 'unless { context.login.level >= 2 && context.login.age <= 300 }';
const cedar = `
@id("prompts") forbid (principal, action == Quarterdeck::Action::"getPrompt", resource) ${weak};
@id("resources") forbid (principal, action == Quarterdeck::Action::"readResource", resource) ${weak};
@id("models") forbid (principal, action == Quarterdeck::Action::"invokeModel", resource) ${weak};
@id("tokens") forbid (principal, action == Quarterdeck::Action::"exchange", resource) ${weak};`;

let people: RunningPeople;
let server: RawMcpServer;
let guarded: Awaited<ReturnType<typeof startProtectedServer>>;
let issuer: Awaited<ReturnType<typeof startBackendIssuer>>;
let provider: RawProvider;
/** Requests that a server was sent for a caller. */
const uses: string[] = [];

beforeAll(async () => {
  const used = (name: string, result: object) => () => {
    uses.push(name);
    return { result };
  };
  server = await startRawMcpServer({
    initialize: () => ({
      result: {
        protocolVersion: '2025-06-18',
        capabilities: { tools: {}, prompts: {}, resources: {}, completions: {} },
        serverInfo: { name: 'raw', version: '1' },
      },
    }),
    'prompts/list': () => ({ result: { prompts: [{ name: 'letter', arguments: [{ name: 'to' }] }] } }),
    'resources/list': () => ({ result: { resources: [{ uri: 'note:///plain', name: 'plain' }] } }),
    'resources/templates/list': () => ({ result: { resourceTemplates: [{ uriTemplate: 'memo:///{id}', name: 'memos' }] } }),
    'prompts/get': used('prompt', { messages: [{ role: 'user', content: { type: 'text', text: 'the letter' } }] }),
    'resources/read': used('resource', { contents: [{ uri: 'note:///plain', text: 'the note' }] }),
    'completion/complete': used('completion', { completion: { values: ['the value'] } }),
  });
  provider = await startRawProvider();
  provider.handle = (response) => {
    uses.push('model');
    sendJson(response, 200, wholeAnswer('the answer'));
  };
  people = await startRunningPeople({ environment: { BACKEND_SECRET: backendClient.secret } });
  issuer = await startBackendIssuer({ trusts: { issuerUrl: people.issuerUrl, jwksUri: people.jwksUri } });
  guarded = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri });
  const auth = { kind: 'tokenExchange', issuer: issuer.issuer, client: { id: backendClient.id, secret: { env: 'BACKEND_SECRET' } } };
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'papers' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'papers' }, spec: { servers: [{ name: 'papers' }], naming: 'plain' } },
    { kind: 'McpServer', metadata: { name: 'guarded' }, spec: { url: guarded.url, auth } },
    { kind: 'Toolset', metadata: { name: 'guarded' }, spec: { servers: [{ name: 'guarded' }], naming: 'plain' } },
    { kind: 'Provider', metadata: { name: 'raw' }, spec: { kind: 'openai-compatible', baseUrl: provider.url } },
    { kind: 'Model', metadata: { name: 'small' }, spec: { routes: [{ provider: 'raw', model: 'small' }] } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'engineers' },
      spec: { subjects: [{ group: 'engineering' }], toolsets: ['papers', 'guarded'], models: ['small'] },
    },
    { kind: 'PolicySet', metadata: { name: 'logins' }, spec: { cedar } },
  );
  await people.gateway.ready('papers');
  await people.gateway.ready('guarded');
});
afterAll(async () => {
  await people.close();
  await Promise.all([server.close(), guarded.close(), provider.close()]);
  issuer.close();
});

const tokenOf = async (path: string, isStrong: boolean): Promise<string> => {
  const scope = path === '/v1' ? 'openid models' : 'openid mcp';
  const begun = people.request(`${people.gateway.publicUrl}${path}`, { scope, ...(isStrong ? { acr_values: '2' } : {}) });
  const answer = await people.authorize(begun, isStrong ? 'ada&key=yes' : 'ada', createBrowser());
  const { status, body } = await people.redeem(begun, answer);
  expect(status).toBe(200);
  return body.access_token;
};
type Answer = { status: number; challenge: string | null; text: string };
const chat = async (token: string): Promise<Answer> => {
  const response = await fetch(`${people.gateway.publicUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'small', messages: [{ role: 'user', content: 'hello' }] }),
  });
  return { status: response.status, challenge: response.headers.get('www-authenticate'), text: await response.text() };
};
const papers = (method: string, params: object) => (token: string) => people.call('/mcp/papers', token, method, params);

const surfaces: [string, { path: string; rule: string; ask: (token: string) => Promise<Answer>; says: string; reached: () => number }][] = [
  [
    'a prompt',
    {
      ...{ path: '/mcp/papers', rule: 'prompts', says: 'the letter', reached: () => uses.length },
      ask: papers('prompts/get', { name: 'letter', arguments: {} }),
    },
  ],
  [
    'a resource that is listed',
    {
      ...{ path: '/mcp/papers', rule: 'resources', says: 'the note', reached: () => uses.length },
      ask: papers('resources/read', { uri: 'note:///plain' }),
    },
  ],
  [
    'a resource by a template',
    {
      ...{ path: '/mcp/papers', rule: 'resources', says: 'the note', reached: () => uses.length },
      ask: papers('resources/read', { uri: 'memo:///one' }),
    },
  ],
  [
    'the completion of an argument',
    {
      ...{ path: '/mcp/papers', rule: 'prompts', says: 'the value', reached: () => uses.length },
      ask: papers('completion/complete', { ref: { type: 'ref/prompt', name: 'letter' }, argument: { name: 'to', value: 't' } }),
    },
  ],
  ['a model', { path: '/v1', rule: 'models', says: 'the answer', reached: () => uses.length, ask: chat }],
  [
    'a token for a server',
    {
      ...{ path: '/mcp/guarded', rule: 'tokens', says: 'of look', reached: () => issuer.statements.length + guarded.inner.calls.length },
      ask: (token) => people.call('/mcp/guarded', token, 'tools/call', { name: 'look', arguments: {} }),
    },
  ],
];

describe('a policy that asks for a login by two things (RFC 9470), of', () => {
  test.each(surfaces)(
    '%s: refuses a weaker one with the challenge, reaches nothing, and lets the stronger one through',
    async (_what, surface) => {
      const { path, rule, ask, says, reached } = surface;
      const before = reached();
      const weakToken = await tokenOf(path, false);
      const refused = await ask(weakToken);
      expect({ status: refused.status, text: refused.text }).toMatchObject({ status: 401, text: expect.stringContaining('login_stale') });
      expect(refused.challenge).toContain('error="insufficient_user_authentication"');
      expect(refused.challenge).toContain('acr_values="2"');
      expect(refused.challenge).toContain(`scope="openid ${path === '/v1' ? 'models' : 'mcp'}"`);
      expect(refused.challenge).toContain(`resource_metadata="${people.gateway.publicUrl}/.well-known/oauth-protected-resource${path}"`);
      expect(reached()).toBe(before);
      const row = await people.gateway.auditRow(
        ({ errorCode, policies }) => errorCode === 'login_stale' && policies.some((policy) => policy.endsWith(`/${rule}`)),
      );
      expect(row).toMatchObject({ kind: 'refusal', decision: 'deny', outcome: 'refused' });
      const answer = await ask(await tokenOf(path, true));
      expect(answer.status).toBe(200);
      expect(answer.text).toContain(says);
      expect(reached()).toBeGreaterThan(before);
      // the same person's older token is not taken along
      expect((await ask(weakToken)).status).toBe(401);
    },
  );

  test('what is on a list, says the same to a weaker and to a stronger login, whoever of them asks first', async () => {
    const [weakToken, strongToken] = [await tokenOf('/mcp/papers', false), await tokenOf('/mcp/papers', true)];
    for (const method of ['resources/list', 'prompts/list', 'resources/templates/list']) {
      const first = await people.call('/mcp/papers', weakToken, method);
      expect(first.text).toMatch(/note:\/\/\/plain|letter|memo:/);
      expect((await people.call('/mcp/papers', strongToken, method)).text).toBe(first.text);
    }
  });
});
