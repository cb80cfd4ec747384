import { describe, expect, test } from 'vitest';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import { callOf, postTo, request, SseReader, startLegacyClient } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type Handler, startFakeSurface, useLegacyReplicas } from '../support/running-legacy.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { url } = useTestDatabase();
const start = useLegacyReplicas(url);
const notification = (method: string, params: object = {}) => ({ jsonrpc: '2.0', method, params });
/** Waits until it is aborted, and answers as the surface would. */
const untilAborted: Handler = ({ signal }) =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve({ kind: 'error', error: { code: -32800, message: 'cancelled' } }));
  });

describe('a notification', () => {
  test('is accepted without an answer, and told on', async () => {
    const replica = await start();
    const client = await startLegacyClient(replica);
    for (const method of ['notifications/initialized', 'notifications/roots/list_changed']) {
      const answer = await client.post(notification(method, { why: 1 }));
      expect([answer.status, await answer.text()]).toEqual([202, '']);
    }
    expect(replica.fake.notifications).toEqual([
      {
        session: expect.stringMatching(/^ses_/),
        notification: { method: 'notifications/roots/list_changed', params: { why: 1 } },
      },
    ]);
  });
});

describe('notifications/cancelled', () => {
  test('ends the request of that id in that session, which gets no answer; nothing else', async () => {
    const replica = await start({ fake: startFakeSurface({ wait: untilAborted }) });
    const client = await startLegacyClient(replica);
    const other = await startLegacyClient(replica);
    const cancelled = client.post(callOf(1, 'wait'));
    const ofText = client.post(callOf('1', 'wait'));
    const ofOther = other.post(callOf(1, 'wait'));
    await pollUntil(() => replica.fake.requests.length === 3, 'the requests');
    expect((await client.post(notification('notifications/cancelled', { requestId: 1 }))).status).toBe(202);
    const answer = await cancelled;
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([200, 'text/event-stream', '']);
    expect(replica.fake.requests.map(({ signal }) => signal.aborted)).toEqual([true, false, false]);
    await client.post(notification('notifications/cancelled', { requestId: '1' }));
    await other.post(notification('notifications/cancelled', { requestId: 1 }));
    await Promise.all([ofText, ofOther]);
  });

  test('reaches a request that runs at another replica', async () => {
    const first = await start({ fake: startFakeSurface({ wait: untilAborted }) });
    const second = await start();
    const client = await startLegacyClient(first);
    const running = client.post(callOf('a'.repeat(10_000), 'wait'));
    await pollUntil(() => first.fake.requests.length === 1, 'the request');
    await client.post(notification('notifications/cancelled', { requestId: 'a'.repeat(10_000) }), second);
    expect(await (await running).text()).toBe('');
    expect(first.fake.requests[0]?.signal.aborted).toBe(true);
  });

  test('is told with an error where the client reads JSON alone', async () => {
    const replica = await start({ fake: startFakeSurface({ wait: untilAborted }) });
    const client = await startLegacyClient(replica);
    const running = client.post(callOf(1, 'wait'), replica, { accept: 'application/json' });
    await pollUntil(() => replica.fake.requests.length === 1, 'the request');
    await client.post(notification('notifications/cancelled', { requestId: 1 }));
    expect(await (await running).json()).toMatchObject({ id: 1, error: { code: -32800 } });
  });

  test.each([{ requestId: 99 }, { requestId: null }, {}, { requestId: {} }])('of nothing that runs changes nothing: %j', async (params) => {
    const replica = await start();
    const client = await startLegacyClient(replica);
    expect((await client.post(notification('notifications/cancelled', params))).status).toBe(202);
    expect((await client.post(callOf(1, 'echo'))).status).toBe(200);
  });
});

test('losing the connection does not end a request', async () => {
  const open = Promise.withResolvers<void>();
  const replica = await start({
    fake: startFakeSurface({
      wait: async () => {
        await open.promise;
        return { kind: 'result', result: {} };
      },
    }),
  });
  const client = await startLegacyClient(replica);
  const running = client.post(callOf(1, 'wait')).catch(() => 'cut');
  await pollUntil(() => replica.fake.requests.length === 1, 'the request');
  replica.cutClients();
  expect(await running).toBe('cut');
  expect(replica.fake.requests[0]?.signal.aborted).toBe(false);
  open.resolve();
});

describe('a batch', () => {
  const calls = [callOf(1, 'echo', { n: 1 }), notification('notifications/roots/list_changed'), callOf('b', 'echo', { n: 2 })];

  test('of 2025-03-26 is answered with an array, its notifications with nothing', async () => {
    const replica = await start();
    const client = await startLegacyClient(replica, { version: '2025-03-26' });
    const answer = await client.post([...calls, { nonsense: true }, request(3, 'no/such')]);
    expect(answer.headers.get('content-type')).toBe('application/json');
    const answers = (await answer.json()) as { id: unknown }[];
    expect(answers).toHaveLength(4);
    expect(answers).toEqual(
      expect.arrayContaining([
        { jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: '{"n":1}' }] } },
        { jsonrpc: '2.0', id: 'b', result: { content: [{ type: 'text', text: '{"n":2}' }] } },
        { jsonrpc: '2.0', id: null, error: expect.objectContaining({ code: -32600 }) },
        { jsonrpc: '2.0', id: 3, error: expect.objectContaining({ code: -32601 }) },
      ]),
    );
    expect(replica.fake.notifications).toHaveLength(1);
  });

  test('whose requests notify is answered on a stream, each answer an event', async () => {
    const fake = startFakeSurface({
      loud: async ({ notify }: ClientRequest) => {
        await notify({ method: 'notifications/message', params: { level: 'info', data: 'hi' } });
        return { kind: 'result', result: { content: [] } };
      },
    });
    const client = await startLegacyClient(await start({ fake }), { version: '2025-03-26' });
    const answer = await client.post([callOf(1, 'echo'), callOf(2, 'loud')]);
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const events = await new SseReader(answer).rest();
    expect(events.map(({ data }) => data && JSON.parse(data)).map(({ id, method }) => id ?? method)).toEqual(
      expect.arrayContaining([1, 2, 'notifications/message']),
    );
    expect(events.every(({ id, data }) => id && data)).toBe(true);
  });

  test('of notifications and answers alone is accepted', async () => {
    const client = await startLegacyClient(await start(), { version: '2025-03-26' });
    expect((await client.post([notification('notifications/initialized'), { jsonrpc: '2.0', id: 'x', result: {} }])).status).toBe(202);
  });

  test('without a session is of 2025-03-26 unless its header says another version', async () => {
    const replica = await start();
    expect((await postTo(replica, calls)).status).toBe(200);
    expect((await postTo(replica, calls, { 'mcp-protocol-version': '2025-06-18' })).status).toBe(400);
  });

  test.each(['2025-11-25', '2025-06-18', '2024-11-05'])('of %s is refused', async (version) => {
    const replica = await start();
    const client = await startLegacyClient(replica, { version });
    const answer = await client.post(calls);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ id: null, error: { code: -32600 } });
    expect(replica.fake.requests).toEqual([]);
  });

  test('never holds `initialize`, and not too much', async () => {
    const client = await startLegacyClient(await start(), { version: '2025-03-26' });
    const initialize = request(1, 'initialize', { protocolVersion: '2025-03-26', capabilities: {} });
    expect((await client.post([callOf(2, 'echo'), initialize])).status).toBe(400);
    expect((await client.post(Array.from({ length: 101 }, (_, id) => callOf(id, 'echo')))).status).toBe(400);
  });
});

describe('what a client accepts', () => {
  test('is one form of an answer at least', async () => {
    const client = await startLegacyClient(await start());
    expect((await client.post(callOf(1, 'echo'), undefined, { accept: 'text/html' })).status).toBe(406);
  });

  test('may be streams alone', async () => {
    const client = await startLegacyClient(await start());
    const answer = await client.post(callOf(1, 'echo'), undefined, { accept: 'text/event-stream' });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect((await new SseReader(answer).message())?.message).toMatchObject({ id: 1, result: {} });
  });

  test('may be JSON alone: what comes before the answer is left out, and nothing can be asked', async () => {
    const asked: unknown[] = [];
    const fake = startFakeSurface({
      loud: async ({ notify, ask }) => {
        asked.push(ask);
        await notify({ method: 'notifications/message', params: {} });
        return { kind: 'result', result: { content: [] } };
      },
    });
    const client = await startLegacyClient(await start({ fake }));
    const answer = await client.post(callOf(1, 'loud'), undefined, { accept: 'application/json' });
    expect(await answer.json()).toEqual({ jsonrpc: '2.0', id: 1, result: { content: [] } });
    expect(asked).toEqual([undefined]);
  });
});

test('what throws inside is an internal error that says nothing of its cause', async () => {
  const fake = startFakeSurface({
    broken: () => {
      throw new Error('password=hunter2');
    },
  });
  const client = await startLegacyClient(await start({ fake }));
  const answer = await client.post(callOf(1, 'broken'));
  const text = await answer.text();
  expect(JSON.parse(text)).toMatchObject({ id: 1, error: { data: { code: 'internal' } } });
  expect(text).not.toContain('hunter2');
});
