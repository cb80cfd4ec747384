import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ReadyInstance, ServerLaunchInput } from '../../schema/server-launch.ts';
import { type HostHarness, isAlive, startTestHost, supportFolder, tinyLaunch, until } from './support/host-harness.ts';
import { openHostSession } from './support/host-session.ts';

let host: HostHarness;
let now = 1_000_000;
let id: string;
let count = 0;
beforeAll(async () => {
  host = await startTestHost({ isCaged: false, now: () => now, config: { maximumInstances: 12, maximumSessionInstances: 4 } });
});
afterAll(() => host.close());
beforeEach(() => {
  count += 1;
  id = `default/default/asks-${count}/key`;
});

const launch = (changes: Partial<ServerLaunchInput> = {}): ServerLaunchInput => ({
  id,
  digest: 'sha256:one',
  instance: 'session',
  program: { kind: 'command', command: ['node', `${supportFolder}/asking-server.ts`] },
  ...changes,
});
const tinySession = (changes: Partial<ServerLaunchInput> = {}) => tinyLaunch(id, { instance: 'session', ...changes });
const ensure = async (wanted: ServerLaunchInput) => (await (await host.ensure(wanted)).json()) as ReadyInstance;
const instanceIds = async () =>
  ((await (await host.request('GET', '/instances')).json()) as { instances: { id: string }[] }).instances.map((one) => one.id);

const connect = async (capabilities: object = { elicitation: {}, sampling: {}, roots: { listChanged: true } }) => {
  const client = new Client({ name: 'asked', version: '2.0.0' }, { capabilities });
  const address = new URL(`${host.address}${host.pathOf(id, '/mcp')}`);
  const transport = new StreamableHTTPClientTransport(address, { requestInit: { headers: { authorization: 'Bearer internal-key' } } });
  await client.connect(transport);
  return { client, transport };
};
const textOf = (answer: unknown) => (answer as { content: { text: string }[] }).content[0]?.text ?? '';

describe('a process for one session', () => {
  test('is told who its client is and what it can do', async () => {
    expect(await ensure(launch())).toMatchObject({ state: 'ready', era: 'legacy' });
    const { client, transport } = await connect();
    expect(JSON.parse(textOf(await client.callTool({ name: 'about' })))).toMatchObject({
      client: { name: 'asked', version: '2.0.0' },
      capabilities: { elicitation: {}, sampling: {}, roots: { listChanged: true } },
    });
    expect(await ensure(launch())).toMatchObject({ serverInfo: { name: 'asking' }, protocolVersion: '2025-11-25' });
    await transport.terminateSession();
  });

  test('asks its client in the middle of a call: elicitation, sampling, roots', async () => {
    await ensure(launch());
    const { client, transport } = await connect();
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
      action: 'accept' as const,
      content: { colour: `${params.message} blue` },
    }));
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      role: 'assistant' as const,
      model: 'm',
      content: { type: 'text' as const, text: 'Hello!' },
    }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///work' }] }));
    expect(JSON.parse(textOf(await client.callTool({ name: 'elicit' })))).toEqual({
      action: 'accept',
      content: { colour: 'Which colour? blue' },
    });
    expect(JSON.parse(textOf(await client.callTool({ name: 'sample' })))).toMatchObject({ content: { text: 'Hello!' } });
    expect(JSON.parse(textOf(await client.callTool({ name: 'roots' })))).toMatchObject({ roots: [{ uri: 'file:///work' }] });
    await transport.terminateSession();
  });

  test('asks on the standing stream when no call is under way, and its log and list changes come there too', async () => {
    await ensure(launch());
    const { client, transport } = await connect();
    const logged: unknown[] = [];
    let changes = 0;
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///later' }] }));
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logged.push(params.data));
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      changes += 1;
    });
    await client.callTool({ name: 'log' });
    await client.callTool({ name: 'ask-later' });
    await client.callTool({ name: 'grow' });
    await until(() => logged.length === 2 && changes > 0, 'all is heard');
    expect(logged).toEqual(['from a call', [{ uri: 'file:///later' }]]);
    await transport.terminateSession();
  });

  test('gets the refusal of a client that left, or has no stream', async () => {
    await ensure(tinySession());
    const session = await openHostSession(host, id, { roots: {} });
    const withoutStream = await session.post(
      { id: 1, method: 'tools/call', params: { name: 'consult', arguments: { method: 'roots/list' } } },
      { headers: { accept: 'application/json', 'mcp-session-id': session.id } },
    );
    expect(JSON.parse(textOf(((await withoutStream.json()) as { result: unknown }).result))).toMatchObject({
      error: { code: -32603, message: expect.stringContaining('no stream') },
    });
    const leaving = new AbortController();
    const call = await session.callWithEvents('consult', { method: 'elicitation/create' }, { signal: leaving.signal });
    const question = await call.next('elicitation/create');
    leaving.abort();
    const stream = await session.stream();
    await until(
      async () => JSON.parse(textOf((await session.call('arrived')).result)).includes('notifications/cancelled'),
      'the call is cancelled',
    );
    // An answer that comes too late finds nobody.
    expect((await session.post({ id: question.id, result: { action: 'accept' } })).status).toBe(202);
    const arrived = JSON.parse(textOf((await session.call('arrived')).result)) as string[];
    expect(arrived.filter((method) => method === 'answer')).toHaveLength(2);
    await stream.leave();
    await session.end();
  });

  test('may ask before its client has a stream: the question waits for one, and is not lost to a call that was taken back', async () => {
    await ensure(tinySession());
    const session = await openHostSession(host, id, { roots: {} });
    const taken = session.callWithEvents('hold', { name: 'x' });
    await until(async () => JSON.parse(await session.callText('held')).includes('x'), 'it is held');
    await session.post({ method: 'notifications/cancelled', params: { requestId: 1 } });
    const cancelled = await taken;
    await until(cancelled.isOver, 'it is answered');
    expect(cancelled.messages).toMatchObject([{ id: 1, error: { code: -32800 } }]);
    const asking = session.post(
      { id: 'asks', method: 'tools/call', params: { name: 'consult', arguments: { method: 'roots/list' } } },
      { headers: { accept: 'application/json', 'mcp-session-id': session.id } },
    );
    const stream = await session.stream();
    const question = await stream.next('roots/list');
    await session.post({ id: question.id, result: { roots: [{ uri: 'file:///x' }] } });
    const answer = (await (await asking).json()) as { result: unknown };
    expect(JSON.parse(textOf(answer.result))).toMatchObject({ id: 'roots/list', result: { roots: [{ uri: 'file:///x' }] } });
    await session.end();
  });

  test('hears what its client says, and takes its own questions back', async () => {
    await ensure(tinySession());
    const session = await openHostSession(host, id, { roots: { listChanged: true } });
    await session.post({ method: 'notifications/roots/list_changed' });
    await session.post({ method: 'notifications/initialized' });
    const arrived = JSON.parse(textOf((await session.call('arrived')).result)) as string[];
    expect(arrived.filter((method) => method.startsWith('notifications/'))).toEqual([
      'notifications/initialized',
      'notifications/roots/list_changed',
    ]);
    const stream = await session.stream();
    const ask = { id: 'mine', method: 'elicitation/create', params: { message: 'x' } };
    await session.call('say', { messages: [{ method: 'notifications/elicitation/complete', params: { elicitationId: 'e' } }] });
    await stream.next('notifications/elicitation/complete');
    const asking = await session.callWithEvents('say', {
      messages: [ask, { method: 'notifications/cancelled', params: { requestId: 'mine' } }],
    });
    const question = await asking.next('elicitation/create');
    expect(question.id).not.toBe('mine');
    expect((await asking.next('notifications/cancelled')).params?.requestId).toBe(question.id);
    await session.end();
  });

  test('is there for nobody who has not introduced itself', async () => {
    await ensure(tinySession());
    for (const [headers, status] of [
      [{}, 400],
      [{ 'mcp-session-id': 'made-up' }, 404],
    ] as const)
      expect((await host.rpc(id, { jsonrpc: '2.0', id: 1, method: 'tools/list' }, { headers })).status).toBe(status);
    await host.request('DELETE', host.pathOf(id));
  });

  test('is initialized once, also when another replica begins a session of the same client', async () => {
    await ensure(tinySession());
    const [one, other] = [await openHostSession(host, id, { roots: {} }), await openHostSession(host, id, { roots: {} })];
    expect(other.initialized.result).toEqual(one.initialized.result);
    const arrived = JSON.parse(textOf((await other.call('arrived')).result)) as string[];
    expect(arrived.filter((method) => method === 'initialize')).toHaveLength(1);
    await one.end();
    expect(await other.call('echo', { text: 'still here' })).toMatchObject({ result: { content: [{ text: 'still here' }] } });
    await other.end();
    expect((await host.rpc(id, { jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(404);
  });

  test('that dies is started again by the next request, and introduced to the same client', async () => {
    await ensure(launch());
    const { client, transport } = await connect({ roots: {} });
    const about = async () => JSON.parse(textOf(await client.callTool({ name: 'about' })));
    const { pid } = await about();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid), 'it is gone');
    await until(
      () =>
        about().then(
          (found) => found.pid !== pid,
          () => false,
        ),
      'another answers',
    );
    expect(await about()).toMatchObject({ client: { name: 'asked' }, capabilities: { roots: {} } });
    await transport.terminateSession();
  });
});

describe('the end of a process for one session', () => {
  test('comes with its last session', async () => {
    const { pid } = await ensure(tinySession());
    const session = await openHostSession(host, id);
    expect((await session.end()).status).toBe(204);
    expect(isAlive(pid)).toBe(false);
    expect(await instanceIds()).not.toContain(id);
  });

  test('comes when nobody asks it anything for ten minutes, although a stream is open', async () => {
    const { pid } = await ensure(tinySession());
    const session = await openHostSession(host, id);
    const stream = await session.stream();
    now += 300_000;
    await session.call('echo', { text: 'x' });
    now += 599_000;
    expect((await session.call('echo', { text: 'x' })).error).toBeUndefined();
    now += 600_000;
    await until(async () => !(await instanceIds()).includes(id), 'it is stopped');
    await until(() => !isAlive(pid) && stream.isOver(), 'nothing is left');
    expect((await session.send('ping')).status).toBe(404);
  });

  test('comes after the seconds that its launch gives, but not while a call runs or a resource is watched', async () => {
    const quick = tinySession({ idleSeconds: 5, env: { TINY_CAPABILITIES: '{"tools":{},"resources":{"subscribe":true}}' } });
    const { pid } = await ensure(quick);
    const session = await openHostSession(host, id);
    const held = session.call('hold', { name: 'long' });
    await until(async () => JSON.parse(textOf((await session.call('held')).result)).includes('long'), 'it is held');
    const stream = await session.stream();
    const sweeps = async () => {
      // A second instance that is idle goes with the next look at all of them.
      const other = `${id}-other`;
      await ensure({ ...quick, id: other });
      now += 6_000;
      await until(async () => !(await instanceIds()).includes(other), 'the other is stopped');
    };
    await sweeps();
    await session.call('release', { name: 'long' });
    await held;
    expect(isAlive(pid)).toBe(true);
    await session.ask('resources/subscribe', { uri: 'file:///a' });
    await sweeps();
    expect(isAlive(pid)).toBe(true);
    await stream.leave();
    await until(async () => {
      now += 6_000;
      return !(await instanceIds()).includes(id);
    }, 'it is stopped');
    await until(() => !isAlive(pid), 'nothing is left');
  });

  test('is not that of a shared process, unless its launch says so', async () => {
    const shared = await ensure(tinyLaunch(`${id}-shared`));
    await ensure(tinyLaunch(`${id}-quick`, { idleSeconds: 5 }));
    now += 3_600_000;
    await until(async () => !(await instanceIds()).includes(`${id}-quick`), 'the quick one is stopped');
    expect(isAlive(shared.pid)).toBe(true);
    await host.request('DELETE', host.pathOf(`${id}-shared`));
  });
});

describe('room', () => {
  test('is for so many sessions of one server, and so many servers in all; then a new one is refused, with what to do', async () => {
    const ids = Array.from({ length: 4 }, (_, index) => `default/default/room/${index}`);
    for (const one of ids) await ensure({ ...tinySession(), id: one });
    const refused = await host.ensure({ ...tinySession(), id: 'default/default/room/5' });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10']);
    expect(await refused.json()).toMatchObject({
      code: 'capacity_reached',
      retryable: true,
      detail: expect.stringContaining('4 processes for single sessions'),
    });
    // Another server has room, until there is none at all.
    const others = Array.from({ length: 8 }, (_, index) => `default/default/other-${index}`);
    for (const one of others) expect((await host.ensure(tinyLaunch(one))).status).toBe(200);
    expect(await (await host.ensure(tinyLaunch(id))).json()).toMatchObject({
      code: 'capacity_reached',
      detail: expect.stringContaining('12 servers'),
    });
    // What is there is found all the same.
    expect((await host.ensure(tinyLaunch(others[0] ?? ''))).status).toBe(200);
    await host.request('DELETE', host.pathOf(ids[0] ?? ''));
    expect((await host.ensure({ ...tinySession(), id: 'default/default/room/5' })).status).toBe(200);
    for (const one of [...ids, ...others, 'default/default/room/5']) await host.request('DELETE', host.pathOf(one));
  });
});
