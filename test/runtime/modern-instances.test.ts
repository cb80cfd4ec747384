import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ReadyInstance, ServerLaunchInput } from '../../schema/server-launch.ts';
import { type Message, readEvents } from './support/event-reader.ts';
import { type HostHarness, isAlive, startTestHost, supportFolder, tinyLaunch, until } from './support/host-harness.ts';
import { openHostSession } from './support/host-session.ts';

const prefix = 'io.modelcontextprotocol';
const metaOf = (more: object = {}) => ({
  [`${prefix}/protocolVersion`]: '2026-07-28',
  [`${prefix}/clientInfo`]: { name: 'plain', version: '1.0.0' },
  [`${prefix}/clientCapabilities`]: { elicitation: { form: {} } },
  ...more,
});

let host: HostHarness;
let id: string;
let count = 0;
beforeAll(async () => {
  host = await startTestHost({ isCaged: false, probeTimeoutMs: 2_000 });
});
afterAll(() => host.close());
beforeEach(() => {
  count += 1;
  id = `default/default/modern-${count}`;
});

const launch = (changes: Partial<ServerLaunchInput> = {}): ServerLaunchInput => ({
  id,
  digest: 'sha256:one',
  program: { kind: 'command', command: ['node', `${supportFolder}/modern-server.ts`] },
  env: { MODERN_ONLY: '1' },
  ...changes,
});
const ensure = async (wanted: ServerLaunchInput) => (await (await host.ensure(wanted)).json()) as ReadyInstance;
const connect = async (name = 'modern-client') => {
  const client = new Client(
    { name, version: '2.0.0' },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: 'auto' } },
  );
  const address = new URL(`${host.address}${host.pathOf(id, '/mcp')}`);
  await client.connect(new StreamableHTTPClientTransport(address, { requestInit: { headers: { authorization: 'Bearer internal-key' } } }));
  return client;
};
const textOf = (answer: unknown) => (answer as { content: { text: string }[] }).content[0]?.text ?? '';

/** One request as the gateway sends it, and its answer with what came before it. */
const send = (
  method: string,
  params: object,
  { meta = {}, ...init }: RequestInit & { meta?: object } = {},
  requestId: string | number = 1,
) =>
  host.rpc(
    id,
    { jsonrpc: '2.0', id: requestId, method, params: { ...params, _meta: metaOf(meta) } },
    { ...init, headers: { accept: 'application/json, text/event-stream', ...init.headers } },
  );
const call = async (name: string, args: object = {}, options?: Parameters<typeof send>[2], requestId?: string | number) => {
  const events = readEvents(await send('tools/call', { name, arguments: args }, options, requestId));
  await until(events.isOver, `${name} is answered`);
  return events.messages;
};
const answerOf = (messages: Message[]) => messages.at(-1)?.result ?? messages.at(-1);
const listen = async (notifications: object, requestId: string | number, init: RequestInit = {}) =>
  readEvents(await send('subscriptions/listen', { notifications }, init, requestId));
const ack = 'notifications/subscriptions/acknowledged';
const subscriptionOf = ({ params = {} }: Message) => (params._meta as Record<string, unknown>)[`${prefix}/subscriptionId`];

describe('a server of 2026-07-28 over stdio', () => {
  test('serves a client of the official SDK: tools, progress, and a question as the answer of a call', async () => {
    expect(await ensure(launch())).toMatchObject({ era: 'modern', protocolVersion: '2026-07-28', serverInfo: { name: 'modern' } });
    const client = await connect();
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: { colour: 'blue' } }));
    expect(textOf(await client.callTool({ name: 'colour', arguments: {} }))).toBe('state-of-the-server blue');
    const seen: number[] = [];
    await client.callTool({ name: 'progress', arguments: { steps: 3 } }, { onprogress: ({ progress }) => seen.push(progress) });
    expect(seen).toEqual([1, 2, 3]);
    await client.close();
  });

  test('is shared: two clients at once keep their own ids, tokens, capabilities and answers', async () => {
    await ensure(launch());
    const [one, other] = await Promise.all(
      ['one', 'other'].map((name) =>
        call('about', {}, { meta: { [`${prefix}/clientInfo`]: { name, version: '1' }, [`${prefix}/clientCapabilities`]: { [name]: {} } } }),
      ),
    );
    const told = [one, other].map((messages) => JSON.parse(textOf(answerOf(messages ?? []))));
    expect(told.map(({ envelope }) => envelope[`${prefix}/clientInfo`].name)).toEqual(['one', 'other']);
    expect(told[0].pid).toBe(told[1].pid);
    const progress = await Promise.all([2, 3].map((steps) => call('progress', { steps }, { meta: { progressToken: 'same' } })));
    expect(progress.map((messages) => messages.map(({ params, id: answered }) => params?.progressToken ?? answered))).toEqual([
      ['same', 'same', 1],
      ['same', 'same', 'same', 1],
    ]);
  });

  test('has no sessions, and tells a legacy client so', async () => {
    await ensure(launch());
    for (const method of ['GET', 'DELETE', 'PUT']) {
      const answer = await host.request(method, host.pathOf(id, '/mcp'));
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
    }
    const refused = await host.rpc(id, { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25' } });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      id: 1,
      error: { code: -32022, data: { supported: ['2026-07-28'], requested: '2025-11-25' } },
    });
  });

  test('hears that a call was taken back when its connection closes', async () => {
    await ensure(launch());
    const leaving = new AbortController();
    const gone = send('tools/call', { name: 'hold', arguments: { name: 'mine' } }, { signal: leaving.signal }).catch(() => 'gone');
    const seen = async () => JSON.parse(textOf(answerOf(await call('seen'))));
    await until(async () => (await seen()).held.includes('mine'), 'it is held');
    leaving.abort();
    expect(await gone).toBe('gone');
    await until(async () => (await seen()).cancelled.includes('mine'), 'the server heard of it');
  });

  test('sends log messages to the one request that asked for them, and to nobody when two did', async () => {
    await ensure(launch());
    const asking = { meta: { [`${prefix}/logLevel`]: 'debug' } };
    const held = call('hold', { name: 'quiet' });
    await until(async () => JSON.parse(textOf(answerOf(await call('seen')))).held.includes('quiet'), 'it is held');
    expect((await call('log', { data: 'mine' }, asking)).map(({ params, id: answered }) => params?.data ?? answered)).toEqual(['mine', 1]);
    await call('release');
    await held;
    const curious = call('hold', { name: 'curious' }, asking);
    await until(async () => JSON.parse(textOf(answerOf(await call('seen')))).held.includes('curious'), 'it is held');
    expect((await call('log', { data: 'whose?' }, asking)).map(({ params }) => params?.data)).toEqual([undefined]);
    await call('release');
    expect(await curious).toHaveLength(1);
  });

  test('has another stamp after its tools changed, although nobody listens', async () => {
    await ensure(launch());
    const stamp = async () => (await send('tools/list', {})).headers.get('quarterdeck-instance') ?? '';
    const before = await stamp();
    expect(await stamp()).toBe(before);
    await call('grow');
    await until(async () => (await stamp()) !== before, 'it is another');
    const refused = await send('tools/call', { name: 'echo', arguments: { text: 'x' } }, { headers: { 'quarterdeck-instance': before } });
    expect(refused.headers.get('quarterdeck-lost')).toBe('other-instance');
  });

  test('may be one per session all the same', async () => {
    await ensure(launch({ instance: 'session', id: `${id}/key` }));
    id = `${id}/key`;
    expect(JSON.parse(textOf(answerOf(await call('about'))))).toMatchObject({ era: 'modern' });
    expect((await host.request('DELETE', host.pathOf(id))).status).toBe(204);
  });
});

describe('listening', () => {
  test('gives each listener its own news under its own id, the acknowledgment first', async () => {
    await ensure(launch());
    const tools = await listen({ toolsListChanged: true }, 'same');
    const files = await listen({ resourceSubscriptions: ['file:///a'] }, 'same');
    await Promise.all([tools.next(ack), files.next(ack)]);
    await call('grow');
    await call('touch', { uri: 'file:///a' });
    await call('touch', { uri: 'file:///b' });
    await Promise.all([tools.next('notifications/tools/list_changed'), files.next('notifications/resources/updated')]);
    expect(tools.methods()).toEqual([ack, 'notifications/tools/list_changed']);
    expect(files.messages.map(({ method, params }) => [method, params?.uri])).toEqual([
      [ack, undefined],
      ['notifications/resources/updated', 'file:///a'],
    ]);
    for (const message of [...tools.messages, ...files.messages]) expect(subscriptionOf(message)).toBe('same');
    await Promise.all([tools.leave(), files.leave()]);
  });

  test('ends for the server when the connection closes', async () => {
    await ensure(launch());
    const leaving = new AbortController();
    const events = await listen({ toolsListChanged: true }, 7, { signal: leaving.signal });
    await events.next(ack);
    const pending = async () => {
      const { instances } = (await (await host.request('GET', '/instances')).json()) as { instances: { id: string; pending: number }[] };
      return instances.find((one) => one.id === id)?.pending;
    };
    expect(await pending()).toBe(1);
    leaving.abort();
    await until(async () => (await pending()) === 0, 'nobody listens');
  });

  test('ends with an error when the process dies, and can begin again', async () => {
    const { pid } = await ensure(launch());
    const events = await listen({ toolsListChanged: true }, 7);
    await events.next(ack);
    process.kill(pid, 'SIGKILL');
    await until(events.isOver, 'it ended');
    expect(events.messages.at(-1)).toMatchObject({ id: 7, error: { code: -32000, data: { code: 'server_unavailable' } } });
    await until(() => !isAlive(pid), 'it is gone');
    const again = await listen({ toolsListChanged: true }, 8);
    await again.next(ack);
    await again.leave();
  });

  test('ends when its reader leaves more than a megabyte unread', async () => {
    await ensure(launch());
    const stuck = await send('subscriptions/listen', { notifications: { resourceSubscriptions: ['file:///a'] } }, {}, 9);
    // Nothing of the answer is read, so the kernel's buffers fill up and then the host's.
    const uri = `file:///a?${'x'.repeat(256 * 1024)}`;
    const big = await send('subscriptions/listen', { notifications: { resourceSubscriptions: [uri] } }, {}, 10);
    for (let round = 0; round < 60; round += 1) await call('touch', { uri });
    await expect(big.text()).rejects.toThrow();
    await stuck.body?.cancel();
  });
});

describe('the era of a server', () => {
  test('of both is the modern one, where the process can be shared and still ask', async () => {
    expect(await ensure(launch({ env: {} }))).toMatchObject({ era: 'modern' });
    expect(JSON.parse(textOf(answerOf(await call('about'))))).toMatchObject({ era: 'modern' });
  });

  test('is the modern one also when the server is slower than the first question waits', async () => {
    expect(await ensure(launch({ env: { MODERN_ONLY: '1', START_AFTER_MS: '3000' } }))).toMatchObject({ era: 'modern' });
    expect(textOf(answerOf(await call('echo', { text: 'here' })))).toBe('here');
  });

  test.each(['silent', 'exit'])('is the legacy one when it answers the first question by: %s', async (TINY_DISCOVER) => {
    const started = Date.now();
    expect(await ensure(tinyLaunch(id, { env: { TINY_DISCOVER }, args: [TINY_DISCOVER] }))).toMatchObject({
      era: 'legacy',
      protocolVersion: '2025-11-25',
    });
    const first = Date.now() - started;
    // It is known from then on: the process that comes after it is not asked.
    await host.callTool(id, 'exit', { code: 0 });
    await until(async () => (await host.toolText(id, 'echo', { text: 'back' })) === 'back', 'it is back');
    expect(JSON.parse(await host.toolText(id, 'arrived'))[0]).toBe('initialize');
    if (TINY_DISCOVER === 'silent') expect(first).toBeGreaterThanOrEqual(2_000);
    const session = await openHostSession(host, id);
    expect(session.initialized.result).toMatchObject({ serverInfo: { name: 'tiny' } });
  });
});
