import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import { type JsonObject, type Notification, objectAt } from '../../gateway/mcp/message.ts';
import { applyResources } from '../../store/resources.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startTestDatabase } from '../support/postgres.ts';
import { type RawMcpServer, startRawMcpServer } from '../support/raw-mcp-server.ts';
import { parsed } from '../support/running-gateway.ts';
import { errorOf, hearing, personOf, resultOf, type SurfaceReplica, startSurfaceReplica, withTasks } from '../support/surface-replica.ts';

const uri = (name: string, path = 'a') => `note://${name}/${path}`;
const names = ['one', 'two', 'three'];
const servers = new Map<string, RawMcpServer>();
const subscribedAt = new Map<string, string[]>();
let replica: SurfaceReplica;
const closing: (() => Promise<unknown>)[] = [];

const startServer = (name: string, takesSubscriptions: boolean): Promise<RawMcpServer> => {
  const subscribed: string[] = [];
  subscribedAt.set(name, subscribed);
  return startRawMcpServer({
    initialize: () => ({
      result: {
        protocolVersion: '2025-11-25',
        capabilities: { tools: { listChanged: true }, resources: { subscribe: takesSubscriptions, listChanged: true } },
        serverInfo: { name, version: '1' },
      },
    }),
    'tools/list': () => ({ result: { tools: [{ name: `${name}_tool`, inputSchema: { type: 'object' } }] } }),
    'resources/list': () => ({
      result: {
        resources: [
          { uri: uri(name), name: 'a' },
          { uri: uri('same'), name: 's' },
        ],
      },
    }),
    'resources/templates/list': () => ({ result: { resourceTemplates: [] } }),
    'resources/subscribe': ({ params }) => {
      subscribed.push(String(params?.uri));
      return { result: {} };
    },
    'resources/unsubscribe': ({ params }) => {
      subscribed.splice(subscribed.indexOf(String(params?.uri)), 1);
      return { result: {} };
    },
  });
};

beforeAll(async () => {
  const database = await startTestDatabase();
  for (const name of names) servers.set(name, await startServer(name, name !== 'three'));
  replica = await startSurfaceReplica(database.url);
  await applyResources(
    replica.database,
    parsed(
      { kind: 'Project', metadata: { name: 'default' }, spec: {} },
      ...names.map((name) => ({ kind: 'McpServer', metadata: { name }, spec: { url: servers.get(name)?.url } })),
      { kind: 'Toolset', metadata: { name: 'tools' }, spec: { servers: names.map((name) => ({ name })), naming: 'plain' } },
      { kind: 'Toolset', metadata: { name: 'narrow' }, spec: { servers: [{ name: 'one', resources: ['note://one/*'] }] } },
    ),
  );
  await pollUntil(async () => replica.context.declared().list('Toolset').length === 2 || undefined, 'the toolsets');
  await replica.look(...names);
  closing.push(replica.close, ...[...servers.values()].map((server) => server.close), database.close);
});
afterAll(async () => {
  for (const close of closing) await close();
});

const updated = (name: string, changed: string): void => {
  for (const listener of servers.get(name)?.listeners ?? [])
    listener.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: changed } })}\n\n`);
};

const listen = (notifications: JsonObject, asked: Partial<ClientRequest> & { capabilities?: JsonObject; toolset?: string } = {}) => {
  const leaving = new AbortController();
  const { said, notify } = hearing();
  const end = replica.handle({
    id: 'listen-1',
    method: 'subscriptions/listen',
    params: { notifications },
    notify,
    signal: leaving.signal,
    ...asked,
  });
  const first = (): Promise<Notification> => pollUntil(async () => said[0], 'the acknowledgment');
  return { said, end, first, leave: () => leaving.abort() };
};
const subscriptionOf = ({ params }: Notification): unknown => objectAt(params, '_meta')['io.modelcontextprotocol/subscriptionId'];

describe('subscriptions/listen over three servers', () => {
  test('acknowledges first what was accepted, tags every event, and maps URIs back', async () => {
    const stream = listen({
      toolsListChanged: true,
      promptsListChanged: false,
      resourceSubscriptions: [uri('one'), uri('two'), `mcp+two+${uri('same')}`, uri('three'), 'note://nowhere/a'],
    });
    const accepted = await stream.first();
    expect(accepted.method).toBe('notifications/subscriptions/acknowledged');
    expect(accepted.params?.notifications).toEqual({
      toolsListChanged: true,
      // the third server takes no subscriptions, and the last URI is nobody's
      resourceSubscriptions: [uri('one'), uri('two'), `mcp+two+${uri('same')}`],
    });
    await pollUntil(async () => (subscribedAt.get('two')?.length === 2 ? true : undefined), 'the subscriptions');
    updated('one', uri('one'));
    updated('two', uri('same'));
    updated('two', uri('two', 'other'));
    await pollUntil(async () => (stream.said.length >= 3 ? true : undefined), 'the events');
    expect(
      stream.said
        .slice(1)
        .map(({ method, params }) => [method, params?.uri])
        .sort(),
    ).toEqual([
      ['notifications/resources/updated', `mcp+two+${uri('same')}`],
      ['notifications/resources/updated', uri('one')],
    ]);
    for (const event of stream.said) expect(subscriptionOf(event)).toBe('listen-1');
    stream.leave();
    await stream.end;
    await pollUntil(async () => (subscribedAt.get('two')?.length === 0 ? true : undefined), 'the server to be unsubscribed from');
  });

  test('tells changed lists to those who asked for them, and to nobody else', async () => {
    const [wants, other] = [listen({ toolsListChanged: true }), listen({ promptsListChanged: true, resourcesListChanged: true })];
    await wants.first();
    expect((await other.first()).params?.notifications).toEqual({ resourcesListChanged: true });
    await applyResources(
      replica.database,
      parsed({ kind: 'Toolset', metadata: { name: 'tools' }, spec: { servers: names.map((name) => ({ name })), naming: 'prefix' } }),
    );
    await pollUntil(async () => wants.said.find(({ method }) => method === 'notifications/tools/list_changed'), 'the change');
    expect(other.said.filter(({ method }) => method === 'notifications/tools/list_changed')).toEqual([]);
    for (const { leave, end } of [wants, other]) {
      leave();
      await end;
    }
  });

  test('accepts only what the endpoint lets the caller read', async () => {
    const stream = listen({ resourceSubscriptions: [uri('one'), uri('same')] }, { toolset: 'narrow' });
    expect((await stream.first()).params?.notifications).toEqual({ resourceSubscriptions: [uri('one')] });
    stream.leave();
    await stream.end;
  });

  test('refuses a filter that is none, and tasks of a client that knows none', async () => {
    expect(errorOf(await replica.handle({ method: 'subscriptions/listen', params: {} }))).toMatchObject({ code: -32602 });
    const tasks = { method: 'subscriptions/listen', params: { notifications: { taskIds: ['task_x'] } } };
    expect(errorOf(await replica.handle(tasks))).toMatchObject({ code: -32021 });
    const stream = listen({ taskIds: ['task_x'] }, { capabilities: withTasks });
    expect((await stream.first()).params?.notifications).toEqual({ taskIds: [] });
    stream.leave();
  });
});

describe('tasks on a listen stream', () => {
  test('each state is told as tasks/get would say it', async () => {
    let finish: (() => void) | undefined;
    const server = servers.get('one') as RawMcpServer;
    server.answers['tools/call'] = () =>
      new Promise((resolve) => {
        finish = () => resolve({ result: { content: [{ type: 'text', text: 'late' }] } });
      });
    const created = resultOf(await replica.call('one__one_tool', {}, { capabilities: withTasks }));
    const stream = listen({ taskIds: [String(created.taskId)] }, { capabilities: withTasks });
    expect((await stream.first()).params?.notifications).toEqual({ taskIds: [created.taskId] });
    finish?.();
    const done = await pollUntil(async () => stream.said.find(({ params }) => params?.status === 'completed'), 'the end of the task');
    expect(done).toMatchObject({
      method: 'notifications/tasks',
      params: { taskId: created.taskId, result: { content: [{ text: 'late' }] } },
    });
    expect(subscriptionOf(done)).toBe('listen-1');
    const other = listen({ taskIds: [String(created.taskId)] }, { capabilities: withTasks, principal: personOf('other') });
    expect((await other.first()).params?.notifications).toEqual({ taskIds: [] });
    stream.leave();
    other.leave();
    delete server.answers['tools/call'];
  });
});

describe('subscriptions of legacy sessions', () => {
  test('go to the session’s stream, and end with it', async () => {
    const said: Notification[] = [];
    const session = {
      id: 'session-1',
      notify: (notification: Notification) => void said.push(notification),
      ask: () => Promise.reject(new Error('nobody')),
      logLevel: undefined,
      setLogLevel: () => undefined,
    };
    const client = { era: 'legacy' as const, protocolVersion: '2025-11-25', capabilities: {} };
    const ask = (method: string, of: string) => replica.handle({ method, params: { uri: of }, session, client });
    expect(resultOf(await ask('resources/subscribe', uri('one')))).toEqual({});
    expect(resultOf(await ask('resources/subscribe', uri('one')))).toEqual({});
    expect(errorOf(await ask('resources/subscribe', 'note://nowhere/a'))).toMatchObject({ code: -32002 });
    updated('one', uri('one'));
    await pollUntil(async () => said[0], 'the update');
    expect(said).toEqual([{ method: 'notifications/resources/updated', params: { uri: uri('one') } }]);
    expect(resultOf(await ask('resources/unsubscribe', uri('one')))).toEqual({});
    await pollUntil(async () => (subscribedAt.get('one')?.length === 0 ? true : undefined), 'the server to be unsubscribed from');
    await ask('resources/subscribe', uri('one'));
    await replica.surface.sessionEnded('session-1');
    await pollUntil(async () => (subscribedAt.get('one')?.length === 0 ? true : undefined), 'the server to be unsubscribed from again');
  });
});

test('ten thousand listen streams share one subscription, and end gracefully when the gateway stops', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const streams = Array.from({ length: 10_000 }, () => listen({ toolsListChanged: true, resourceSubscriptions: [uri('one')] }));
  await Promise.all(streams.map(({ first }) => first()));
  expect(subscribedAt.get('one')).toEqual([uri('one')]);
  const told = performance.now();
  updated('one', uri('one'));
  await pollUntil(async () => (streams.every(({ said }) => said.length === 2) ? true : undefined), 'everybody to be told');
  expect(performance.now() - told).toBeLessThan(5000);
  collectGarbage();
  const bytesEach = (process.memoryUsage().heapUsed - before) / 10_000;
  expect(bytesEach).toBeLessThan(12_000);
  await replica.surface.drain();
  for (const { end } of streams) expect(resultOf(await end)).toEqual({ _meta: { 'io.modelcontextprotocol/subscriptionId': 'listen-1' } });
  await pollUntil(async () => (subscribedAt.get('one')?.length === 0 ? true : undefined), 'the server to be unsubscribed from');
});
