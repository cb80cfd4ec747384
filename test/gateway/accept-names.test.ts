import { afterAll, beforeAll, expect, test } from 'vitest';
import { SseReader } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { discovered, type RawMcpServer, startRawMcpServer, writeEvents } from '../support/raw-mcp-server.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

type Json = Record<string, unknown>;
const done = { content: [{ type: 'text', text: 'done' }], resultType: 'complete' };
const tools = [
  {
    name: 'look',
    inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } },
    annotations: { readOnlyHint: true },
  },
  { name: 'research', inputSchema: { type: 'object' } },
];
const task = { resultType: 'task', taskId: 'own-task', status: 'working', createdAt: 'x', lastUpdatedAt: 'x', ttlMs: 60_000 };
const capabilities = { tools: {}, resources: { subscribe: true }, extensions: { 'io.modelcontextprotocol/tasks': {} } };
const withTasks = { 'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } } };

/** A server of 2026-07-28 with tools, a resource that the other one has too, tasks of its own, and a stream of news. */
const startServer = () =>
  startRawMcpServer({
    'server/discover': () => discovered({ capabilities }),
    'tools/list': () => ({ result: { resultType: 'complete', tools, ttlMs: 0, cacheScope: 'private' } }),
    'tools/call': ({ params }) => ({ result: params?.name === 'research' ? task : done }),
    'tasks/get': ({ params }) =>
      params?.taskId === 'own-task'
        ? { result: { ...task, resultType: 'complete', status: 'completed', result: done } }
        : { error: { code: -32602, message: 'no such task' } },
    'resources/list': () => ({ result: { resources: [{ uri: 'note:///same', name: 'same' }] } }),
    'resources/templates/list': () => ({ result: { resourceTemplates: [] } }),
    'resources/read': ({ params }) => ({ result: { resultType: 'complete', contents: [{ uri: params?.uri, text: 'text' }] } }),
    'subscriptions/listen': ({ id, params }, { response }) => {
      const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
      const { notifications } = params as { notifications: { resourceSubscriptions?: string[] } };
      writeEvents(response, { method: 'notifications/subscriptions/acknowledged', params: { _meta, notifications } });
      for (const uri of notifications.resourceSubscriptions ?? [])
        writeEvents(response, { method: 'notifications/resources/updated', params: { uri, _meta } });
      return undefined;
    },
  });

let gateway: RunningGateway;
const servers = {} as Record<'one' | 'two', RawMcpServer>;
beforeAll(async () => {
  Object.assign(servers, { one: await startServer(), two: await startServer() });
  gateway = await startRunningGateway();
  await gateway.apply(...Object.entries(servers).map(([name, { url }]) => ({ kind: 'McpServer', metadata: { name }, spec: { url } })), {
    kind: 'Toolset',
    metadata: { name: 'both' },
    spec: { servers: [{ name: 'one' }, { name: 'two', rename: { look: 'see', research: 'study' } }] },
  });
  await gateway.ready('both');
  await pollUntil(async () => JSON.stringify(await ask('tools/list')).includes('"see"') || undefined, 'both servers');
});
afterAll(async () => {
  await gateway.close();
  for (const server of Object.values(servers)) await server.close();
});

const send = (method: string, params: Json = {}, { id = 1 as unknown, headers = {}, meta = {} as Json } = {}) =>
  fetch(
    `${gateway.publicUrl}/mcp/both`,
    modernRequest(method, params, { id, meta, headers: { authorization: `Bearer ${adminToken}`, ...headers } }),
  );
const ask = async (method: string, params: Json = {}, changes: Parameters<typeof send>[2] = {}): Promise<Json> => {
  const answer = (await (await send(method, params, changes)).json()) as { result?: Json; error?: Json };
  if (!answer.result) throw new Error(JSON.stringify(answer.error));
  return answer.result;
};
const lastAt = (name: 'one' | 'two', method: string) => servers[name].seen.findLast((message) => message.method === method);

test('a call of a renamed tool reaches its server under its own name, in the body and in the headers', async () => {
  const before = servers.one.countOf('tools/call');
  const region = `=?base64?${Buffer.from('Zürich').toString('base64')}?=`;
  await ask('tools/call', { name: 'see', arguments: { region: 'Zürich' } }, { headers: { 'mcp-param-region': region } });
  const reached = lastAt('two', 'tools/call');
  expect(reached?.params).toMatchObject({ name: 'look', arguments: { region: 'Zürich' } });
  expect(reached?.headers).toMatchObject({ 'mcp-method': 'tools/call', 'mcp-name': 'look', 'mcp-param-region': region });
  expect(servers.one.countOf('tools/call')).toBe(before);
});

test('a URI that two servers have leads to each of them, and what they answer bears the URI that was asked for', async () => {
  const { resources } = (await ask('resources/list')) as { resources: { uri: string }[] };
  expect(resources.map(({ uri }) => uri).sort()).toEqual(['mcp+two+note:///same', 'note:///same']);
  for (const [uri, name] of [
    ['mcp+two+note:///same', 'two'],
    ['note:///same', 'one'],
  ] as const) {
    const before = servers[name].countOf('resources/read');
    expect(await ask('resources/read', { uri })).toMatchObject({ contents: [{ uri, text: 'text' }] });
    expect(servers[name].countOf('resources/read')).toBe(before + 1);
    expect(lastAt(name, 'resources/read')).toMatchObject({ params: { uri: 'note:///same' }, headers: { 'mcp-name': 'note:///same' } });
  }
});

test('a task that a server keeps has an id of ours, which leads back to it in the body and in the headers', async () => {
  const { taskId } = await ask('tools/call', { name: 'study', arguments: {} }, { meta: withTasks });
  expect(taskId).not.toBe('own-task');
  expect(await ask('tasks/get', { taskId }, { meta: withTasks })).toMatchObject({ taskId, status: 'completed' });
  expect(lastAt('two', 'tasks/get')).toMatchObject({ params: { taskId: 'own-task' }, headers: { 'mcp-name': 'own-task' } });
  expect(servers.one.countOf('tasks/get')).toBe(0);
});

test('events of a subscription bear the id of the client’s own request and the URI that it asked for', async () => {
  const leaving = new AbortController();
  const answer = await fetch(`${gateway.publicUrl}/mcp/both`, {
    ...modernRequest(
      'subscriptions/listen',
      { notifications: { resourceSubscriptions: ['mcp+two+note:///same'] } },
      { id: 'of-the-client', headers: { authorization: `Bearer ${adminToken}` } },
    ),
    signal: leaving.signal,
  });
  const reader = new SseReader(answer);
  const [first, second] = [await reader.message(), await reader.message()];
  const tagged = { _meta: { 'io.modelcontextprotocol/subscriptionId': 'of-the-client' } };
  expect(first?.message).toMatchObject({ method: 'notifications/subscriptions/acknowledged', params: tagged });
  expect(second?.message).toMatchObject({
    method: 'notifications/resources/updated',
    params: { ...tagged, uri: 'mcp+two+note:///same' },
  });
  const listening = servers.two.seen.findLast(
    ({ method, params }) => method === 'subscriptions/listen' && JSON.stringify(params).includes('note:'),
  );
  expect(listening?.id).not.toBe('of-the-client');
  expect(listening?.params).toMatchObject({ notifications: { resourceSubscriptions: ['note:///same'] } });
  leaving.abort();
});
