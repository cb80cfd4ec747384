import { sql } from 'drizzle-orm';
import { afterEach, describe, expect, test } from 'vitest';
import type { ClientRequest, ClientSession } from '../../gateway/mcp/client-request.ts';
import type { Question, Reply } from '../../gateway/mcp/message.ts';
import { callOf, type LegacyClient, request, SseReader, startLegacyClient } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type LegacyReplica, startFakeSurface, useLegacyReplicas } from '../support/running-legacy.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { url, database } = useTestDatabase();
const start = useLegacyReplicas(url);
const readers: SseReader[] = [];
// readers go first: what is begun last is ended first
afterEach(async () => {
  for (const reader of readers.splice(0)) await reader.cancel().catch(() => undefined);
});

/** Opens a session's stream. */
const open = async (client: LegacyClient, to?: LegacyReplica, lastEventId?: string): Promise<SseReader> => {
  const answer = await client.get(lastEventId, to);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
  const reader = new SseReader(answer);
  readers.push(reader);
  return reader;
};
/** The session as a replica's surface sees it. */
const sessionAt = async (client: LegacyClient, replica: LegacyReplica): Promise<ClientSession> => {
  await client.post(callOf('where', 'echo'), replica);
  const { session } = replica.fake.requests.at(-1) ?? {};
  if (!session) throw new Error('there is no session');
  return session;
};
const news = (text: string) => ({ method: 'notifications/message', params: { level: 'info', data: text } });
const question: Question = { method: 'elicitation/create', params: { message: 'Which?' } };
const never = () => new AbortController().signal;
const accept = (id: unknown, content: object) => ({ jsonrpc: '2.0', id, result: { action: 'accept', content } });
const isDetached = async (client: LegacyClient, replica: LegacyReplica) => {
  const { id } = await sessionAt(client, replica);
  await pollUntil(async () => {
    const { rows } = await database().execute(
      sql`select from mcp_streams where owner = ${id} and kind = 'standing' and detached_at is null`,
    );
    return rows.length === 0;
  }, 'the end of the connection to be noted');
};

describe('the stream of a session', () => {
  test('tells of changed lists, once, as long as it is open', async () => {
    const replica = await start({ limits: { keepEndedMs: 300 } });
    const client = await startLegacyClient(replica);
    const reader = await open(client);
    expect((await reader.next())?.id).toMatch(/:0$/);
    replica.fake.changeList('tools');
    const told = await reader.message();
    expect(told).toEqual({ id: expect.stringMatching(/:1$/), message: { jsonrpc: '2.0', method: 'notifications/tools/list_changed' } });
    replica.fake.changeList('prompts');
    expect((await reader.message())?.message.method).toBe('notifications/prompts/list_changed');
    await reader.cancel();
    await pollUntil(() => replica.fake.watchers.size === 0, 'the end of the watch');
  });

  test('gets what any replica has to say, each thing on one stream only', async () => {
    const first = await start();
    const second = await start();
    const client = await startLegacyClient(first);
    const older = await open(client, first);
    await older.next();
    const newer = await open(client, second);
    await newer.next();
    (await sessionAt(client, first)).notify(news('from the first'));
    (await sessionAt(client, second)).notify(news('from the second'));
    const texts = [await newer.message(), await newer.message()].map((told) => JSON.stringify(told?.message.params));
    expect(texts.map((text) => JSON.parse(text).data).toSorted()).toEqual(['from the first', 'from the second']);
    first.fake.changeList('tools');
    second.fake.changeList('tools');
    expect((await newer.message())?.message.method).toBe('notifications/tools/list_changed');
    await newer.cancel();
    const heard = older.message();
    await pollUntil(async () => {
      (await sessionAt(client, second)).notify(news('to the older'));
      return Promise.race([heard, new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 50))]);
    }, 'the older stream');
  });

  test('keeps what comes while nobody reads, for a client that says where it was', async () => {
    const first = await start();
    const second = await start();
    const client = await startLegacyClient(first);
    const reader = await open(client);
    const place = (await reader.next())?.id;
    await reader.cancel();
    await isDetached(client, first);
    first.fake.changeList('tools');
    (await sessionAt(client, second)).notify(news('while away'));
    await pollUntil(
      async () => (await database().$count(sql`mcp_stream_events where stream = ${place?.split(':')[0]}`)) === 2,
      'both events',
    );
    const fresh = await open(client, second);
    await fresh.next();
    const resumed = await open(client, second, place);
    expect((await resumed.next())?.id).toBe(place);
    const methods = [await resumed.message(), await resumed.message()].map((told) => told?.message.method);
    expect(methods.toSorted()).toEqual(['notifications/message', 'notifications/tools/list_changed']);
    (await sessionAt(client, first)).notify(news('back again'));
    expect((await resumed.message())?.message).toMatchObject({ params: { data: 'back again' } });
  });

  test('keeps the newest only, and says so to who was away too long', async () => {
    const replica = await start({ limits: { keepEvents: 5 } });
    const client = await startLegacyClient(replica);
    const reader = await open(client);
    const place = (await reader.next())?.id ?? '';
    await reader.cancel();
    await isDetached(client, replica);
    const session = await sessionAt(client, replica);
    for (let count = 1; count <= 8; count += 1) session.notify(news(String(count)));
    const [stream] = place.split(':');
    await pollUntil(async () => {
      const { rows } = await database().execute<{ last: string }>(sql`select last_sequence as last from mcp_streams where id = ${stream}`);
      return rows[0]?.last === '8';
    }, 'the last event');
    expect((await client.get(place)).status).toBe(400);
    const resumed = await open(client, replica, `${stream}:3`);
    await resumed.next();
    for (const text of ['4', '5', '6', '7', '8']) expect((await resumed.message())?.message).toMatchObject({ params: { data: text } });
  });

  test('is unknown to other sessions', async () => {
    const replica = await start();
    const client = await startLegacyClient(replica);
    const place = (await (await open(client)).next())?.id;
    const other = await startLegacyClient(replica);
    const answer = await other.get(place);
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: { data: { code: 'stream_unknown' } } }]);
    expect((await client.get(`${place?.split(':')[0]}:5`)).status).toBe(400);
  });

  test('goes on at another replica when its own is gone, with all that may have changed', async () => {
    const first = await start();
    const second = await start();
    const client = await startLegacyClient(first);
    const reader = await open(client);
    const place = (await reader.next())?.id;
    await first.kill();
    const resumed = await open(client, second, place);
    await resumed.next();
    expect((await resumed.message())?.message.method).toBe('notifications/tools/list_changed');
    (await sessionAt(client, second)).notify(news('on'));
    expect((await resumed.message())?.message).toMatchObject({ params: { data: 'on' } });
  });

  test('is ended when the gateway stops, and its client is told when to come back', async () => {
    const first = await start();
    const second = await start();
    const client = await startLegacyClient(first);
    const reader = await open(client);
    const place = (await reader.next())?.id;
    await first.close();
    expect(await reader.rest()).toEqual([{ retry: '500' }]);
    await open(client, second, place);
  });

  test('is one of a few', async () => {
    const replica = await start({ limits: { standingStreamsPerSession: 2 } });
    const client = await startLegacyClient(replica);
    const oldest = await open(client);
    await open(client);
    await open(client);
    expect((await oldest.rest()).length).toBe(1);
  });

  test('finds what no notice came of', async () => {
    const first = await start({ limits: { lookAfterAllMs: 50 } });
    const second = await start();
    const client = await startLegacyClient(first);
    const reader = await open(client);
    const stream = (await reader.next())?.id?.split(':')[0];
    const session = await sessionAt(client, second);
    // as if the notice of the second replica were lost
    second.database.$client.query = (() => Promise.reject(new Error('lost'))) as never;
    session.notify(news('unnoticed'));
    expect((await reader.message())?.message).toMatchObject({ params: { data: 'unnoticed' } });
    expect(stream).toBeTruthy();
  });
});

describe('a question outside a request', () => {
  test('without an open stream anywhere is refused within a second', async () => {
    const replica = await start();
    const client = await startLegacyClient(replica);
    const session = await sessionAt(client, replica);
    const asked = performance.now();
    await expect(session.ask(question, never())).rejects.toMatchObject({ code: 'client_unreachable' });
    const reader = await open(client);
    await reader.next();
    await reader.cancel();
    await isDetached(client, replica);
    await expect(session.ask(question, never())).rejects.toMatchObject({ code: 'client_unreachable' });
    expect(performance.now() - asked).toBeLessThan(1500);
  });

  test('is refused within a second, too, when its only reader was at a replica that is gone', async () => {
    const first = await start();
    const second = await start();
    const client = await startLegacyClient(first);
    await (await open(client, first)).next();
    const session = await sessionAt(client, second);
    await first.kill();
    await expect(session.ask(question, never())).rejects.toMatchObject({ code: 'client_unreachable' });
  });

  test('is refused within a second while the database does not answer', async () => {
    const replica = await start();
    const client = await startLegacyClient(replica);
    const session = await sessionAt(client, replica);
    replica.database.$client.connect = (() => new Promise(() => undefined)) as never;
    const asked = performance.now();
    await expect(session.ask(question, never())).rejects.toMatchObject({ code: 'client_unreachable' });
    expect(performance.now() - asked).toBeLessThan(1000);
    await replica.kill();
  });

  test('is asked wherever the stream is, and answered through any replica', async () => {
    const first = await start();
    const second = await start();
    const third = await start();
    const client = await startLegacyClient(first);
    const reader = await open(client, second);
    await reader.next();
    const session = await sessionAt(client, first);
    const answers = [session.ask(question, never()), session.ask({ ...question, params: { message: 'And?' } }, never())];
    for (const [index, via] of [third, first].entries()) {
      const told = await reader.message();
      expect(told?.message).toMatchObject({ jsonrpc: '2.0', method: 'elicitation/create' });
      const answer = await client.post(accept(told?.message.id, { index }), via);
      expect(answer.status).toBe(202);
    }
    expect(await Promise.all(answers)).toEqual([
      { kind: 'result', result: { action: 'accept', content: { index: 0 } } },
      { kind: 'result', result: { action: 'accept', content: { index: 1 } } },
    ]);
    expect(await database().$count(sql`mcp_answers`)).toBe(0);
  });

  test('is taken back when nobody needs the answer, and ends with the session', async () => {
    const replica = await start();
    const client = await startLegacyClient(replica);
    const reader = await open(client);
    const session = await sessionAt(client, replica);
    const giving = new AbortController();
    const given = session.ask(question, giving.signal);
    const told = await reader.message();
    giving.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    expect((await reader.message())?.message).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: told?.message.id },
    });
    const asked = session.ask(question, never());
    await reader.message();
    await Promise.all([expect(asked).rejects.toMatchObject({ code: 'client_unreachable' }), client.end()]);
  });
});

describe('a question in the middle of a request', () => {
  const startAsker = (ask: (request: ClientRequest) => Promise<Reply | undefined>) =>
    startFakeSurface({
      asker: async (asking) => {
        const reply = await ask(asking);
        return { kind: 'result', result: { content: [], structuredContent: { reply } } };
      },
    });

  test('stands in the stream of the request; the answer may come through another replica', async () => {
    const first = await start({ fake: startAsker(async ({ ask }) => ask?.(question, never())) });
    const second = await start();
    const client = await startLegacyClient(first);
    for (const via of [first, second]) {
      const reader = new SseReader(await client.post(callOf(1, 'asker')));
      const asked = await reader.message();
      expect(asked?.message).toMatchObject({ method: 'elicitation/create', params: { message: 'Which?' } });
      await client.post(accept(asked?.message.id, { via: via.instance }), via);
      expect((await reader.message())?.message).toMatchObject({
        id: 1,
        result: { structuredContent: { reply: { kind: 'result', result: { action: 'accept', content: { via: via.instance } } } } },
      });
    }
  });

  test('goes to its own asker, though two servers ask under one id at once', async () => {
    const fake = startAsker(async ({ ask, params }) => ask?.({ ...question, params: { message: String(params.name) } }, never()));
    const replica = await start({ fake });
    const client = await startLegacyClient(replica);
    const both = await Promise.all([1, 2].map(async (id) => new SseReader(await client.post(callOf(id, 'asker', { id })))));
    const asked = await Promise.all(both.map((reader) => reader.message()));
    expect(asked[0]?.message.id).not.toBe(asked[1]?.message.id);
    for (const index of [1, 0]) await client.post(accept(asked[index]?.message.id, { index }));
    for (const [index, reader] of both.entries())
      expect((await reader.message())?.message).toMatchObject({
        id: index + 1,
        result: { structuredContent: { reply: { result: { content: { index } } } } },
      });
  });

  test('is answered by its own session only', async () => {
    const replica = await start({ fake: startAsker(async ({ ask }) => ask?.(question, never())) });
    const client = await startLegacyClient(replica);
    const mallory = await startLegacyClient(replica, { as: 'mallory' });
    const reader = new SseReader(await client.post(callOf(1, 'asker')));
    const asked = await reader.message();
    expect((await mallory.post(accept(asked?.message.id, { evil: true }))).status).toBe(202);
    expect((await client.post(accept('made-up.id', {}))).status).toBe(202);
    expect(await database().$count(sql`mcp_answers`)).toBe(0);
    await client.post({ jsonrpc: '2.0', id: asked?.message.id, error: { code: -1, message: 'no' } });
    expect((await reader.message())?.message).toMatchObject({
      result: { structuredContent: { reply: { kind: 'error', error: { code: -1, message: 'no' } } } },
    });
  });

  test('survives the connection: the client finds it when it comes back, at another replica', async () => {
    const first = await start({ fake: startAsker(async ({ ask }) => ask?.(question, never())) });
    const second = await start();
    const client = await startLegacyClient(first);
    const reader = new SseReader(await client.post(callOf(1, 'asker')));
    const place = (await reader.next())?.id;
    await reader.cancel();
    const resumed = new SseReader(await client.get(place, second));
    const asked = await resumed.message();
    await client.post(accept(asked?.message.id, {}), second);
    expect((await resumed.message())?.message).toMatchObject({ id: 1, result: {} });
  });

  test('is taken back when its request is', async () => {
    const replica = await start({ fake: startAsker(async ({ ask }) => ask?.(question, never()).catch(() => undefined)) });
    const client = await startLegacyClient(replica);
    const reader = new SseReader(await client.post(callOf(1, 'asker')));
    const asked = await reader.message();
    await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    expect((await reader.message())?.message).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: asked?.message.id },
    });
    expect(await reader.message()).toBeUndefined();
  });
});

describe('a subscription', () => {
  const startSubscriber = () => startFakeSurface({ 'resources/subscribe': () => ({ kind: 'result', result: {} }) });
  const methodsOf = ({ fake }: LegacyReplica) =>
    fake.requests.filter(({ method }) => method.startsWith('resources/')).map(({ method, params }) => [method, params.uri]);

  test('is made again where the stream is opened when the replica that heard of changes is gone, and only then', async () => {
    const first = await start({ fake: startSubscriber() });
    const second = await start({ fake: startSubscriber() });
    const client = await startLegacyClient(first);
    await client.post(request(1, 'resources/subscribe', { uri: 'file:///a' }));
    await client.post(request(2, 'resources/subscribe', { uri: 'file:///b' }));
    await client.post(request(3, 'resources/unsubscribe', { uri: 'file:///b' }));
    const place = (await (await open(client, second)).next())?.id;
    expect(methodsOf(second)).toEqual([]);
    await first.kill();
    await open(client, second, place);
    await pollUntil(() => methodsOf(second).length > 0, 'the subscription');
    expect(methodsOf(second)).toEqual([['resources/subscribe', 'file:///a']]);
    expect(second.fake.requests.at(-1)).toMatchObject({ session: { id: expect.any(String) }, principal: { id: 'admin' } });
  });

  test('ends where it is heard of, wherever the client ends it', async () => {
    const first = await start({ fake: startSubscriber() });
    const second = await start({ fake: startSubscriber() });
    const client = await startLegacyClient(first);
    await client.post(request(1, 'resources/subscribe', { uri: 'file:///a' }));
    await client.post(request(2, 'resources/unsubscribe', { uri: 'file:///a' }), second);
    await pollUntil(() => methodsOf(first).length === 2, 'the end');
    expect(methodsOf(first)).toEqual([
      ['resources/subscribe', 'file:///a'],
      ['resources/unsubscribe', 'file:///a'],
    ]);
  });
});
