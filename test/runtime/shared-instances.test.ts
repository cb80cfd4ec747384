import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type HostHarness, startTestHost, tinyLaunch, until } from './support/host-harness.ts';
import { type HostSession, openHostSession } from './support/host-session.ts';

const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  logging: {},
};

let host: HostHarness;
let now = 1_000_000;
let id: string;
let count = 0;
beforeAll(async () => {
  host = await startTestHost({ isCaged: false, now: () => now });
});
afterAll(() => host.close());
beforeEach(async () => {
  count += 1;
  id = `default/default/shared-${count}`;
  await host.ensure(tinyLaunch(id, { env: { TINY_CAPABILITIES: JSON.stringify(capabilities) } }));
});

const say = (...messages: object[]) => host.toolText(id, 'say', { messages });
const heard = async (method: string): Promise<unknown[]> => JSON.parse(await host.toolText(id, 'heard', { method }));
const updated = (uri: string) => ({ method: 'notifications/resources/updated', params: { uri } });
const log = (level: string, data: string) => ({ method: 'notifications/message', params: { level, data } });
const hold = (session: HostSession, name: string, changes?: RequestInit) => session.callWithEvents('hold', { name }, changes);
const isHeld = (name: string) => until(async () => JSON.parse(await host.toolText(id, 'held')).includes(name), `${name} is held`);

describe('a session', () => {
  test('is cheap: the process is initialized once, with nothing to offer', async () => {
    const sessions = await Promise.all(Array.from({ length: 20 }, () => openHostSession(host, id, { sampling: {} })));
    expect(new Set(sessions.map((session) => session.id)).size).toBe(20);
    for (const { initialized } of sessions) expect(initialized.result).toMatchObject({ protocolVersion: '2025-11-25', capabilities });
    expect(await heard('initialize')).toEqual([expect.objectContaining({ capabilities: {} })]);
    expect(await heard('notifications/initialized')).toHaveLength(1);
  });

  test('that is deleted, or of another host, is not known, and says that nothing was sent', async () => {
    const session = await openHostSession(host, id);
    expect((await session.end()).status).toBe(204);
    for (const answer of [
      await session.end(),
      await session.send('resources/subscribe', { uri: 'a' }),
      await session.send('logging/setLevel', { level: 'info' }),
    ]) {
      expect(answer.status).toBe(404);
      expect(answer.headers.get('quarterdeck-lost')).toBe('not-sent');
    }
    // What needs no session is answered all the same.
    expect(await session.call('echo', { text: 'still' })).toMatchObject({ result: { content: [{ text: 'still' }] } });
  });

  test('is needed for what the process would hold for it', async () => {
    for (const [method, params] of [
      ['resources/subscribe', { uri: 'a' }],
      ['logging/setLevel', { level: 'info' }],
    ] as const) {
      const answer = await host.rpc(id, { jsonrpc: '2.0', id: 1, method, params });
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ id: 1, error: { code: -32600 } });
    }
    expect((await host.request('GET', host.pathOf(id, '/mcp'))).status).toBe(400);
  });

  test('that ends takes its requests along, and no other ones', async () => {
    const [mine, theirs] = [await openHostSession(host, id), await openHostSession(host, id)];
    const cancelled = mine.call('hold', { name: 'mine' });
    const stays = theirs.call('hold', { name: 'theirs' });
    await Promise.all([isHeld('mine'), isHeld('theirs')]);
    await mine.end();
    expect(await cancelled).toMatchObject({ error: { code: -32800 } });
    await host.toolText(id, 'release', { name: 'theirs' });
    expect(await stays).toMatchObject({ result: {} });
    expect(await heard('notifications/cancelled')).toHaveLength(1);
  });

  test('without a stream is forgotten after ten minutes, with what it had subscribed to', async () => {
    const [left, listens] = [await openHostSession(host, id), await openHostSession(host, id)];
    await listens.stream();
    await left.ask('resources/subscribe', { uri: 'file:///a' });
    now += 2_000;
    const later = await openHostSession(host, id);
    now += 599_000;
    await until(async () => (await heard('resources/unsubscribe')).length === 1, 'it is forgotten');
    expect((await left.end()).status).toBe(404);
    // One that works is in use, however long it takes.
    const working = later.call('hold', { name: 'long' });
    await isHeld('long');
    now += 700_000;
    const other = await openHostSession(host, id);
    await other.ask('resources/subscribe', { uri: 'file:///b' });
    now += 601_000;
    await until(async () => (await heard('resources/unsubscribe')).length === 2, 'another is forgotten');
    await host.toolText(id, 'release', { name: 'long' });
    expect(await working).toMatchObject({ result: {} });
    for (const session of [later, listens]) expect((await session.end()).status).toBe(204);
  });
});

describe('the standing stream', () => {
  test('hears that lists changed, in every session, and the stamp is another after each', async () => {
    const sessions = [await openHostSession(host, id), await openHostSession(host, id)];
    const streams = await Promise.all(sessions.map((session) => session.stream()));
    const stamps = new Set<string | null>();
    for (const kind of ['tools', 'prompts', 'resources']) {
      await say({ method: `notifications/${kind}/list_changed` });
      for (const stream of streams) await stream.next(`notifications/${kind}/list_changed`);
      stamps.add((await sessions[0]?.send('ping'))?.headers.get('quarterdeck-instance') ?? null);
    }
    expect(stamps.size).toBe(3);
    for (const stream of streams) expect(stream.messages).toHaveLength(3);
  });

  test('gives way to a second one of the same session', async () => {
    const session = await openHostSession(host, id);
    const first = await session.stream();
    const second = await session.stream();
    await until(first.isOver, 'the first has ended');
    await say({ method: 'notifications/tools/list_changed' });
    await second.next('notifications/tools/list_changed');
    expect(first.messages).toEqual([]);
  });

  test('outlives the process, which is started again at once, and says that anything may have changed', async () => {
    const session = await openHostSession(host, id);
    const stream = await session.stream();
    await session.ask('resources/subscribe', { uri: 'file:///a' });
    await session.ask('logging/setLevel', { level: 'warning' });
    const before = (await session.send('ping')).headers.get('quarterdeck-instance');
    process.kill(JSON.parse(await host.toolText(id, 'about')).pid, 'SIGKILL');
    for (const kind of ['tools', 'prompts', 'resources']) await stream.next(`notifications/${kind}/list_changed`);
    expect(await heard('resources/subscribe')).toEqual([{ uri: 'file:///a' }]);
    expect(await heard('logging/setLevel')).toEqual([{ level: 'warning' }]);
    expect((await session.send('ping')).headers.get('quarterdeck-instance')).not.toBe(before);
    await say(updated('file:///a'));
    await stream.next('notifications/resources/updated');
  });

  test('is cut off when its reader leaves more than a megabyte unread, and nobody else is harmed', async () => {
    const [slow, quick] = [await openHostSession(host, id), await openHostSession(host, id)];
    const stuck = await host.request('GET', host.pathOf(id, '/mcp'), undefined, {
      headers: { accept: 'text/event-stream', 'mcp-session-id': slow.id },
    });
    const stream = await quick.stream();
    for (const session of [slow, quick]) await session.ask('resources/subscribe', { uri: 'file:///a' });
    const big = { method: 'notifications/resources/updated', params: { uri: 'file:///a', filler: 'x'.repeat(512 * 1024) } };
    for (let round = 0; round < 40; round += 1) await say(big);
    await until(() => stream.messages.length === 40, 'the other has all');
    await expect(stuck.text()).rejects.toThrow();
  });
});

describe('news of a resource', () => {
  test('reach the sessions that want them, and the process hears of the first and the last', async () => {
    const [one, other, none] = [await openHostSession(host, id), await openHostSession(host, id), await openHostSession(host, id)];
    const streams = await Promise.all([one, other, none].map((session) => session.stream()));
    const subscribe = (session: HostSession, uri: string) => session.ask('resources/subscribe', { uri });
    expect(await Promise.all([subscribe(one, 'file:///a'), subscribe(other, 'file:///a'), subscribe(one, 'file:///b')])).toEqual([
      { jsonrpc: '2.0', id: 1, result: {} },
      { jsonrpc: '2.0', id: 1, result: {} },
      { jsonrpc: '2.0', id: 2, result: {} },
    ]);
    expect(await heard('resources/subscribe')).toEqual([{ uri: 'file:///a' }, { uri: 'file:///b' }]);
    await say(updated('file:///a'), updated('file:///b/below'), updated('file:///bb'), { method: 'notifications/tools/list_changed' });
    await Promise.all(streams.map((stream) => stream.next('notifications/tools/list_changed')));
    expect(streams.map(({ messages }) => messages.flatMap(({ params }) => params?.uri ?? []))).toEqual([
      ['file:///a', 'file:///b/below'],
      ['file:///a'],
      [],
    ]);
    await one.ask('resources/unsubscribe', { uri: 'file:///a' });
    expect(await heard('resources/unsubscribe')).toEqual([]);
    await other.end();
    await until(async () => (await heard('resources/unsubscribe')).length === 1, 'the last has left');
  });

  test('are refused with what the server says, and then nobody waits for them', async () => {
    const bare = 'default/default/bare';
    await host.ensure(tinyLaunch(bare));
    const session = await openHostSession(host, bare);
    expect(await session.ask('resources/subscribe', { uri: 'file:///a' })).toMatchObject({ id: 1, error: { code: -32601 } });
    expect(await session.ask('resources/subscribe', {})).toMatchObject({ id: 2, error: { code: -32602 } });
    expect(await session.ask('resources/unsubscribe', { uri: 'file:///a' })).toMatchObject({ id: 3, result: {} });
    await host.request('DELETE', host.pathOf(bare));
  });
});

describe('log messages', () => {
  test('reach the one request under way', async () => {
    const [session, listens] = [await openHostSession(host, id), await openHostSession(host, id)];
    const stream = await listens.stream();
    const answer = await session.callWithEvents('say', { messages: [log('info', 'mine'), { method: 'notifications/tools/list_changed' }] });
    await until(answer.isOver, 'it is answered');
    expect(answer.messages.map(({ method, id: answered }) => method ?? answered)).toEqual(['notifications/message', 1]);
    await stream.next('notifications/tools/list_changed');
    expect(stream.methods()).toEqual(['notifications/tools/list_changed']);
  });

  test('reach nobody while two requests could be meant, also when one of them was just cancelled', async () => {
    const [mine, theirs] = [await openHostSession(host, id), await openHostSession(host, id)];
    const stream = await mine.stream();
    const held = hold(theirs, 'theirs');
    await isHeld('theirs');
    const talk = { messages: [log('info', 'whose?')] };
    const first = await mine.callWithEvents('say', talk);
    await theirs.post({ method: 'notifications/cancelled', params: { requestId: 1 } });
    expect((await held).messages.map(({ method }) => method)).not.toContain('notifications/message');
    const second = await mine.callWithEvents('say', talk);
    now += 60_000;
    const third = await mine.callWithEvents('say', talk);
    for (const answer of [first, second, third]) await until(answer.isOver, 'it is answered');
    expect([first, second, third].map(({ messages }) => messages.length)).toEqual([1, 1, 2]);
    expect(stream.messages).toEqual([]);
  });

  test('are as urgent as the session wants, while the process is told what serves all', async () => {
    const [quiet, curious] = [await openHostSession(host, id), await openHostSession(host, id)];
    expect(await quiet.ask('logging/setLevel', { level: 'error' })).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    await curious.ask('logging/setLevel', { level: 'debug' });
    await quiet.ask('logging/setLevel', { level: 'critical' });
    expect(await heard('logging/setLevel')).toEqual([{ level: 'error' }, { level: 'debug' }]);
    const said = async (session: HostSession) => {
      const answer = await session.callWithEvents('say', { messages: [log('debug', 'a'), log('error', 'b'), log('critical', 'c')] });
      await until(answer.isOver, 'it is answered');
      return answer.messages.flatMap(({ params }) => params?.data ?? []);
    };
    expect(await said(quiet)).toEqual(['c']);
    expect(await said(curious)).toEqual(['a', 'b', 'c']);
    await curious.end();
    await until(async () => (await heard('logging/setLevel')).length === 3, 'the process may be quieter');
    expect((await heard('logging/setLevel')).at(-1)).toEqual({ level: 'critical' });
    expect(await quiet.ask('logging/setLevel', { level: 'loud' })).toMatchObject({ error: { code: -32602 } });
  });
});

test('a question of a shared server is refused with what to do, and the operator is told', async () => {
  const session = await openHostSession(host, id, { elicitation: {}, sampling: {}, roots: {} });
  const stream = await session.stream();
  for (const method of ['elicitation/create', 'sampling/createMessage', 'roots/list']) {
    const answer = JSON.parse(await host.toolText(id, 'consult', { method }));
    expect(answer).toMatchObject({ id: method, error: { code: -32601, message: expect.stringContaining('instance: session') } });
  }
  expect(stream.messages).toEqual([]);
  expect(host.logged.some((line) => line.includes('server-question-refused') && line.includes(id))).toBe(true);
});

test('what else a shared server says by itself reaches nobody, and what a client says does not reach it', async () => {
  const session = await openHostSession(host, id);
  const stream = await session.stream();
  await say(
    { method: 'notifications/elicitation/complete', params: { elicitationId: 'x' } },
    { method: 'notifications/tools/list_changed' },
  );
  await stream.next('notifications/tools/list_changed');
  expect(stream.messages).toHaveLength(1);
  await session.post({ method: 'notifications/roots/list_changed' });
  expect(await heard('notifications/roots/list_changed')).toEqual([]);
});

test('a modern request does not reach a legacy process', async () => {
  const modern = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };
  const before = (await heard('tools/call')).length;
  for (const [method, params] of [
    ['server/discover', {}],
    ['tools/call', { name: 'echo', ...modern }],
  ] as const) {
    const answer = await host.rpc(id, { jsonrpc: '2.0', id: 1, method, params });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ id: 1, error: { code: -32600 } });
  }
  expect(await heard('tools/call')).toHaveLength(before + 1);
});
