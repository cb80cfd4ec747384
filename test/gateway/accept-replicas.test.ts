import { request as sendRequest } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { startGateway } from '../../gateway/start-gateway.ts';
import { replacePersonToken } from '../../store/people.ts';
import { startLegacyFixture } from '../support/conformance/legacy-server.ts';
import { startModernFixture } from '../support/conformance/modern-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { discovered, type RawMcpServer, startRawMcpServer, writeEvents } from '../support/raw-mcp-server.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

type Json = Record<string, unknown>;
type Answer = { status: number; body: { result?: Json; error?: { code: number; message: string; data?: Json } } };
const accepted = (name: string) => ({ action: 'accept', content: { name } });
const askable = { elicitation: { form: {} } };
const withTasks = { extensions: { 'io.modelcontextprotocol/tasks': {} } };

/** A legacy server whose one tool asks under the id 7, whoever else does so too, and says what it was answered. */
const startAsker = async (): Promise<RawMcpServer> => {
  const server = await startRawMcpServer({
    'tools/list': () => ({ result: { tools: [{ name: 'ask', inputSchema: { type: 'object' } }] } }),
    'tools/call': async ({ id, params }, { response }) => {
      const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } };
      const { label } = (params as { arguments: { label: string } }).arguments;
      writeEvents(response, { id: 7, method: 'elicitation/create', params: { message: label, requestedSchema } });
      const answered = await pollUntil(() => answers().at(-1), 'the answer', 10_000);
      writeEvents(response, { id, result: { content: [{ type: 'text', text: JSON.stringify(answered) }] } });
      response.end();
      return undefined;
    },
  });
  const answers = () =>
    (server.seen as unknown as { id?: unknown; method?: string; result?: Json; error?: Json }[])
      .filter(({ id, method }) => id === 7 && method === undefined)
      .map(({ result, error }) => result ?? error);
  return server;
};

const ownTask = { resultType: 'task', taskId: 'own-task', status: 'working', createdAt: 'x', lastUpdatedAt: 'x', ttlMs: 600_000 };
const startTaskKeeper = () =>
  startRawMcpServer({
    'server/discover': () => discovered({ capabilities: { tools: {}, ...withTasks } }),
    'tools/list': () => ({ result: { resultType: 'complete', tools: [{ name: 'research', inputSchema: { type: 'object' } }], ttlMs: 0 } }),
    'tools/call': () => ({ result: ownTask }),
    'tasks/get': () => ({
      result: { ...ownTask, resultType: 'complete', status: 'completed', result: { content: [{ type: 'text', text: 'found' }] } },
    }),
  });

let gateway: RunningGateway;
let second: { port: number; close(): Promise<void> };
const raw = {} as Record<'left' | 'right' | 'keeper', RawMcpServer>;
const closing: (() => Promise<unknown>)[] = [];
const ports = { a: 0, b: 0 };

beforeAll(async () => {
  Object.assign(raw, { left: await startAsker(), right: await startAsker(), keeper: await startTaskKeeper() });
  const fixtures = { legacy: await startLegacyFixture(), modern: await startModernFixture() };
  gateway = await startRunningGateway();
  const urls = { ...raw, ...fixtures };
  await gateway.apply(
    ...Object.entries(urls).map(([name, { url }]) => ({ kind: 'McpServer', metadata: { name }, spec: { url } })),
    { kind: 'Toolset', metadata: { name: 'legacy' }, spec: { servers: [{ name: 'legacy' }], naming: 'plain' } },
    { kind: 'Toolset', metadata: { name: 'modern' }, spec: { servers: [{ name: 'modern' }], naming: 'plain' } },
    { kind: 'Toolset', metadata: { name: 'askers' }, spec: { servers: [{ name: 'right' }, { name: 'left' }] } },
    { kind: 'Toolset', metadata: { name: 'keeper' }, spec: { servers: [{ name: 'keeper' }], naming: 'plain' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'guests' },
      spec: { subjects: [{ group: 'guests' }], toolsets: ['legacy', 'modern', 'keeper'] },
    },
    {
      kind: 'AccessBinding',
      metadata: { name: 'readers' },
      spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['legacy'] },
    },
  );
  for (const name of ['legacy', 'modern', 'keeper', 'askers']) await gateway.ready(name);
  ports.a = gateway.config.port;
  ports.b = await freePort();
  // both are one gateway to the world: one address, with a balancer before it
  second = await startGateway({ ...gateway.config, port: ports.b });
  closing.push(() => second.close(), gateway.close, ...Object.values(urls).map((server) => server.close));
  for (const name of ['legacy', 'modern', 'keeper', 'askers'])
    await pollUntil(
      async () => (await modern('b', name, 'tools/list')).body.result?.tools?.toString() || undefined,
      `${name} at the other`,
    );
});
afterAll(async () => {
  for (const close of closing) await close();
});

type Replica = 'a' | 'b';
const send = (
  at: Replica,
  toolset: string,
  { method, headers, body }: ReturnType<typeof modernRequest>,
): Promise<Answer & { text: string; session: string }> =>
  new Promise((resolve, reject) => {
    const { host } = new URL(gateway.publicUrl);
    const options = { host: '127.0.0.1', port: ports[at], method, path: `/mcp/default/default/${toolset}` };
    const sending = sendRequest({ ...options, headers: { ...headers, host } }, async (response) => {
      const text = await textOf(response);
      const json = text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}');
      resolve({ status: response.statusCode ?? 0, body: JSON.parse(json), text, session: String(response.headers['mcp-session-id']) });
    });
    sending.once('error', reject).end(body);
  });

const modern = (at: Replica, toolset: string, method: string, params: Json = {}, { token = adminToken, capabilities = {} as Json } = {}) =>
  send(
    at,
    toolset,
    modernRequest(method, params, {
      headers: { authorization: `Bearer ${token}` },
      meta: { 'io.modelcontextprotocol/clientCapabilities': capabilities },
    }),
  );

const legacy = (at: Replica, toolset: string, method: string, params: Json, headers: Record<string, string>) =>
  send(at, toolset, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
const begin = async (at: Replica, toolset: string, token: string): Promise<{ session: string; headers: Record<string, string> }> => {
  const authorization = `Bearer ${token}`;
  const params = { protocolVersion: '2025-11-25', capabilities: { elicitation: {} }, clientInfo: { name: 'bare', version: '1' } };
  const { session } = await legacy(at, toolset, 'initialize', params, { authorization });
  return { session, headers: { authorization, 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' } };
};
const greet = { name: 'greet', arguments: { name: 'World' } };
const contentText = ({ body }: Answer): string => JSON.stringify(body.result?.content ?? body);

describe('the state of a round', () => {
  const name = 'test_input_required_result_elicitation';

  test.each(['legacy', 'modern'])('serves its own caller at another replica, and nobody else anywhere (%s server)', async (toolset) => {
    const first = await modern('a', toolset, 'tools/call', { name, arguments: {} }, { capabilities: askable });
    const { inputRequests, requestState } = first.body.result as { inputRequests: Json; requestState: string };
    const [key = ''] = Object.keys(inputRequests);
    const retry = { name, arguments: {}, inputResponses: { [key]: accepted('Alice') }, requestState };
    for (const at of ['a', 'b'] as const) {
      const stolen = await modern(at, toolset, 'tools/call', retry, { capabilities: askable, token: guestToken });
      expect(stolen.body.error).toMatchObject({ code: -32602, message: expect.stringContaining('requestState') });
      const other = await modern(at, toolset, 'tools/call', { ...retry, arguments: { more: 1 } }, { capabilities: askable });
      expect(other.body.error).toMatchObject({ code: -32602, message: expect.stringContaining('requestState') });
    }
    const own = await modern('b', toolset, 'tools/call', retry, { capabilities: askable });
    expect(contentText(own)).toContain('Hello, Alice!');
  });

  test('is not there for a client that has not said that it can be asked: nothing of the question reaches it', async () => {
    const { status, body, text } = await modern('a', 'modern', 'tools/call', { name, arguments: {} });
    expect([status, body.error?.code]).toEqual([400, -32021]);
    expect(text).not.toContain('What is your name?');
  });
});

describe('two servers that ask under one id at once', () => {
  test('get each its own answer from a legacy client', async () => {
    const client = new LegacyClient({ name: 'sdk', version: '1' }, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
      // the first that asks is answered last
      if (params.message === 'left') await new Promise((resolve) => setTimeout(resolve, 300));
      return { action: 'accept' as const, content: { name: `for ${params.message}` } };
    });
    const options = { requestInit: { headers: { authorization: `Bearer ${adminToken}` } } };
    await client.connect(new LegacyTransport(new URL(`${gateway.publicUrl}/mcp/askers`), options) as never);
    const [left, right] = await Promise.all(
      ['left', 'right'].map((label) => client.callTool({ name: `${label}__ask`, arguments: { label } })),
    );
    expect(JSON.stringify(left)).toContain('for left');
    expect(JSON.stringify(right)).toContain('for right');
    await client.close();
  });

  test('get each its own answer from a modern client, whichever comes first', async () => {
    for (const server of [raw.left, raw.right]) server.seen.length = 0;
    const calls = await Promise.all(
      ['left', 'right'].map(async (label) => {
        const call = { name: `${label}__ask`, arguments: { label } };
        const { body } = await modern('a', 'askers', 'tools/call', call, { capabilities: askable });
        const { inputRequests, requestState } = body.result as { inputRequests: Json; requestState: string };
        const [key = ''] = Object.keys(inputRequests);
        return { ...call, requestState, inputResponses: { [key]: accepted(`for ${label}`) } };
      }),
    );
    for (const retry of calls.reverse()) {
      const answer = await modern('a', 'askers', 'tools/call', retry, { capabilities: askable });
      expect(contentText(answer)).toContain(`for ${(retry.arguments as { label: string }).label}`);
    }
  });

  test('hear at once that a client without a stream cannot be asked, and so does the client', async () => {
    for (const server of [raw.left, raw.right]) server.seen.length = 0;
    const { headers } = await begin('a', 'askers', adminToken);
    const call = { name: 'left__ask', arguments: { label: 'left' } };
    const askedAt = performance.now();
    const answer = await legacy('a', 'askers', 'tools/call', call, { ...headers, accept: 'application/json' });
    expect(performance.now() - askedAt).toBeLessThan(1000);
    expect(answer.text).toContain('client_unreachable');
  });
});

describe('a list', () => {
  test('comes byte for byte the same each time and from each replica, and is private', async () => {
    const texts = new Set<string>();
    for (const at of ['a', 'b', 'b', 'a'] as const) {
      const { text, body } = await modern(at, 'askers', 'tools/list');
      expect(body.result).toMatchObject({ cacheScope: 'private' });
      texts.add(text);
    }
    expect(texts.size).toBe(1);
    expect([...texts][0]).toMatch(/left__ask.*right__ask/);
  });

  test('is each caller’s own, also when two ask at the same moment', async () => {
    const lists = await Promise.all(
      [adminToken, guestToken, adminToken, guestToken].map((token) => modern('b', 'askers', 'tools/list', {}, { token })),
    );
    expect(lists.map(({ body }) => (body.result as { tools: unknown[] }).tools.length)).toEqual([2, 0, 2, 0]);
    for (const { body } of lists) expect(body.result).toMatchObject({ cacheScope: 'private' });
  });
});

describe('a legacy session', () => {
  test('is of its own principal: a stolen id is as unknown as one that was made up, at each replica', async () => {
    const { headers } = await begin('a', 'legacy', adminToken);
    for (const at of ['a', 'b'] as const) {
      const stolen = await legacy(at, 'legacy', 'tools/call', greet, { ...headers, authorization: `Bearer ${guestToken}` });
      const madeUp = await legacy(at, 'legacy', 'tools/call', greet, { ...headers, 'mcp-session-id': 'made-up' });
      expect([stolen.status, stolen.body.error?.data?.code]).toEqual([404, 'session_unknown']);
      expect(stolen.text).toBe(madeUp.text);
      expect(contentText(await legacy(at, 'legacy', 'tools/call', greet, headers))).toContain('Hello, World!');
    }
  });

  test('goes on with a refreshed token, of an agent and of a person', async () => {
    const { id } = await gateway.addAgent();
    const mint = () => gateway.mint(id, `${gateway.publicUrl}/mcp/default/default/legacy`);
    const [old, fresh] = [await mint(), await mint()];
    expect(fresh).not.toBe(old);
    const agent = await begin('a', 'legacy', old);
    for (const at of ['b', 'a'] as const) {
      const answer = await legacy(at, 'legacy', 'tools/call', greet, { ...agent.headers, authorization: `Bearer ${fresh}` });
      expect(contentText(answer)).toContain('Hello, World!');
    }
    const person = await begin('a', 'legacy', guestToken);
    const token = 'qd_test-guest-token-refreshed-0123';
    await replacePersonToken(gateway.database, { org: 'default', personId: 'guest', stamp: 'guest-token-2', token });
    const authorization = `Bearer ${token}`;
    await pollUntil(
      async () =>
        contentText(await legacy('b', 'legacy', 'tools/call', greet, { ...person.headers, authorization })).includes('Hello, World!') ||
        undefined,
      'the session with the new token',
      5000,
    );
    await replacePersonToken(gateway.database, { org: 'default', personId: 'guest', stamp: 'guest-token', token: guestToken });
  });
});

describe('a task', () => {
  const capabilities = withTasks;

  test('is found by its handle after a restart of the gateway that made it, and by nobody else', async () => {
    const slow = { name: 'slow_compute', arguments: { seconds: 1, label: 'kept' } };
    const made = await modern('a', 'modern', 'tools/call', slow, { capabilities });
    expect(made.body.result).toMatchObject({ resultType: 'task' });
    const owned = await modern('a', 'keeper', 'tools/call', { name: 'research', arguments: {} }, { capabilities });
    const [taskId, ownedId] = [made.body.result?.taskId, owned.body.result?.taskId];
    await gateway.restart();
    await gateway.ready('keeper');
    const ended = await pollUntil(async () => {
      const { body } = await modern('a', 'modern', 'tasks/get', { taskId }, { capabilities });
      expect(body.error).toBeUndefined();
      return body.result?.status === 'working' ? undefined : body.result;
    }, 'the end of the task');
    expect(ended).toMatchObject({ taskId, status: 'completed', result: { content: [{ text: 'slow_compute kept done' }] } });
    const found = await modern('a', 'keeper', 'tasks/get', { taskId: ownedId }, { capabilities });
    expect(found.body.result).toMatchObject({ taskId: ownedId, status: 'completed', result: { content: [{ text: 'found' }] } });
    for (const [toolset, id] of [
      ['modern', taskId],
      ['keeper', ownedId],
    ] as const) {
      const foreign = await modern('b', toolset, 'tasks/get', { taskId: id }, { capabilities, token: guestToken });
      const unknown = await modern('b', toolset, 'tasks/get', { taskId: 'task_nobody' }, { capabilities, token: guestToken });
      expect([foreign.status, foreign.text]).toEqual([unknown.status, unknown.text]);
    }
  });
});
