import { sql } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import { callOf, getFrom, postTo, request, startLegacyClient } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startFakeSurface, useLegacyReplicas } from '../support/running-legacy.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { url, database } = useTestDatabase();
const start = useLegacyReplicas(url);
const initialize = (params: object = {}) =>
  request(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' }, ...params });

describe('initialize', () => {
  test.each([
    ['2025-11-25', '2025-11-25'],
    ['2025-06-18', '2025-06-18'],
    ['2025-03-26', '2025-03-26'],
    ['2024-11-05', '2024-11-05'],
    ['1999-01-01', '2025-11-25'],
    ['2026-07-28', '2025-11-25'],
  ])('with %s agrees on %s and says who answers', async (asked, agreed) => {
    const replica = await start();
    const answer = await postTo(replica, initialize({ protocolVersion: asked }));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('mcp-session-id')).toMatch(/^[\x21-\x7e]{50,}$/);
    expect(await answer.json()).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {
        protocolVersion: agreed,
        capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
        serverInfo: { name: 'quarterdeck', version: '0.1.0' },
        instructions: 'be kind',
      },
    });
  });

  test('answers on a stream to a client that reads nothing else', async () => {
    const replica = await start();
    const answer = await postTo(replica, initialize(), { accept: 'text/event-stream' });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(answer.headers.get('mcp-session-id')).toBeTruthy();
    expect(await answer.text()).toContain('"protocolVersion":"2025-11-25"');
  });

  test.each([
    ['no version', { protocolVersion: undefined }],
    ['capabilities that are no object', { capabilities: [] }],
    ['too much of itself', { clientInfo: { name: 'x'.repeat(20_000), version: '1' } }],
  ])('with %s is refused and begins no session', async (_, params) => {
    const replica = await start();
    const answer = await postTo(replica, initialize(params));
    expect(answer.headers.get('mcp-session-id')).toBeNull();
    expect(await answer.json()).toMatchObject({ id: 1, error: { code: -32602 } });
  });

  test('takes a client whose name no `jsonb` would take', async () => {
    const replica = await start();
    const answer = await postTo(replica, initialize({ clientInfo: { name: 'nul\u0000\ud800', version: '1' } }));
    expect(answer.status).toBe(200);
  });
});

describe('a session', () => {
  test('tells the surface who its client is, and asks the database nothing for a call', async () => {
    const replica = await start();
    const client = await startLegacyClient(replica);
    let queries = 0;
    const { query } = replica.database.$client;
    replica.database.$client.query = ((...parameters: Parameters<typeof query>) => {
      queries += 1;
      return query.apply(replica.database.$client, parameters);
    }) as typeof query;
    await pollUntil(async () => {
      queries = 0;
      await client.post(callOf(1, 'echo'));
      return queries === 0;
    }, 'the replica to listen to the others, before which it trusts nothing that it remembers');
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, id) => client.post(callOf(id, 'echo', { id }), replica, { 'idempotency-key': 'op' })),
    );
    for (const [id, answer] of answers.entries()) {
      expect(answer.headers.get('content-type')).toBe('application/json');
      expect(await answer.json()).toEqual({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: JSON.stringify({ id }) }] } });
    }
    expect(queries).toBe(0);
    expect(await database().$count(sql`mcp_streams`)).toBe(0);
    expect(replica.fake.requests.at(-1)).toMatchObject({
      principal: { id: 'admin' },
      endpoint: { path: '/mcp/default/default/everything' },
      client: { era: 'legacy', protocolVersion: '2025-11-25', info: { name: 'bare', version: '1' }, capabilities: { elicitation: {} } },
      session: { id: expect.stringMatching(/^ses_/) },
      idempotencyKey: 'op',
      parameterHeaders: {},
      logLevel: 'debug',
    });
  });

  test('goes on at another replica, and after all that knew it are gone', async () => {
    const first = await start();
    const second = await start();
    const client = await startLegacyClient(first);
    expect((await client.post(callOf(1, 'echo'), second)).status).toBe(200);
    await client.post(callOf(2, 'echo'));
    expect(second.fake.requests[0]?.session?.id).toBe(first.fake.requests[0]?.session?.id);
    await first.kill();
    const third = await start();
    const answer = await client.post(callOf(3, 'echo'), third);
    expect(answer.status).toBe(200);
    expect(third.fake.requests[0]?.client).toEqual(second.fake.requests[0]?.client);
  });

  test('keeps its log level at all replicas, from the answer on', async () => {
    const setLevel = startFakeSurface({
      'logging/setLevel': ({ session, params }) => {
        session?.setLogLevel(params.level as 'error');
        return { kind: 'result', result: {} };
      },
    });
    const first = await start({ fake: setLevel });
    const second = await start();
    const client = await startLegacyClient(first);
    await client.post(callOf(1, 'echo'), second);
    await client.post(request(2, 'logging/setLevel', { level: 'error' }));
    await client.post(callOf(3, 'echo'));
    expect(first.fake.requests.at(-1)?.logLevel).toBe('error');
    await pollUntil(async () => {
      await client.post(callOf(4, 'echo'), second);
      return second.fake.requests.at(-1)?.logLevel === 'error';
    }, 'the level at the other replica');
  });

  test.each([
    ['garbage', () => ({ 'mcp-session-id': 'garbage' })],
    ['another principal', () => ({ authorization: 'Bearer mallory' })],
    ['a text cut short', (session: string) => ({ 'mcp-session-id': session.slice(0, -2) })],
  ])('is unknown to %s: 404, for POST, GET and DELETE', async (_, spoil) => {
    const replica = await start();
    const client = await startLegacyClient(replica);
    const headers = { ...client.headers, ...spoil(client.session) };
    const answer = await postTo(replica, callOf(5, 'echo'), headers);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ id: 5, error: { data: { code: 'session_unknown' } } });
    expect((await getFrom(replica, headers)).status).toBe(404);
    expect((await fetch(replica.url, { method: 'DELETE', headers })).status).toBe(404);
    expect(replica.fake.requests).toEqual([]);
    expect((await client.post(callOf(1, 'echo'))).status).toBe(200);
  });

  test('is for its own endpoint only', async () => {
    const replica = await start();
    const client = await startLegacyClient(replica);
    expect((await postTo({ url: replica.url.replace('everything', 'another') }, callOf(1, 'echo'), client.headers)).status).toBe(404);
    expect((await postTo({ url: replica.url.replace('/mcp/', '/mcp/default/default/') }, callOf(1, 'echo'), client.headers)).status).toBe(
      200,
    );
  });

  test('ends with DELETE at every replica, with all that belongs to it', async () => {
    const stuck = Promise.withResolvers<void>();
    const fake = startFakeSurface({
      wait: ({ signal }) =>
        new Promise((resolve) => {
          stuck.resolve();
          signal.addEventListener('abort', () => resolve({ kind: 'error', error: { code: -32800, message: 'ended' } }));
        }),
    });
    const first = await start({ fake });
    const second = await start();
    const client = await startLegacyClient(first);
    await client.post(callOf(1, 'echo'), second);
    const running = client.post(callOf(2, 'wait'));
    await stuck.promise;
    const stream = await client.get(undefined, second);
    const answer = await client.end();
    expect(answer.status).toBe(204);
    expect(await (await running).json()).toMatchObject({ id: 2, error: { code: -32800 } });
    expect(await stream.text()).toContain('id: ');
    await pollUntil(async () => (await client.post(callOf(3, 'echo'), second)).status === 404, 'the other replica');
    expect((await client.post(callOf(3, 'echo'))).status).toBe(404);
    expect((await client.end()).status).toBe(404);
    const id = fake.requests[0]?.session?.id;
    expect(fake.ended).toEqual([id]);
    expect(second.fake.ended).toEqual([id]);
    const left = await database().execute(sql`select from mcp_streams where owner = ${id}`);
    expect(left.rows).toEqual([]);
  });

  test('ends when nobody used it for half an hour, and lives as long as somebody does', async () => {
    let now = Date.now();
    const first = await start({ now: () => now, limits: { sweepMs: 50 } });
    const second = await start({ now: () => now, limits: { sweepMs: 1e6 } });
    const client = await startLegacyClient(first);
    for (let turn = 0; turn < 3; turn += 1) {
      now += 20 * 60_000;
      expect((await client.post(callOf(turn, 'echo'))).status).toBe(200);
    }
    const id = first.fake.requests[0]?.session?.id ?? '';
    now += 29 * 60_000;
    expect((await client.post(callOf(8, 'echo'), second)).status).toBe(200);
    now += 31 * 60_000;
    expect((await client.post(callOf(9, 'echo'), second)).status).toBe(404);
    await pollUntil(() => first.fake.ended.includes(id), 'the sweep');
    expect((await client.post(callOf(9, 'echo'))).status).toBe(404);
  });

  test('writes down its use once a minute at most', async () => {
    let now = Date.now();
    const replica = await start({ now: () => now });
    const ids = async () => (await database().execute<{ id: string }>(sql`select id from mcp_sessions`)).rows.map(({ id }) => id);
    const others = await ids();
    const client = await startLegacyClient(replica);
    const own = (await ids()).find((id) => !others.includes(id));
    const usedAt = async () => (await database().execute(sql`select used_at as at from mcp_sessions where id = ${own}`)).rows[0]?.at;
    const before = await usedAt();
    now += 59_000;
    await client.post(callOf(1, 'echo'));
    expect(await usedAt()).toEqual(before);
    now += 2_000;
    await client.post(callOf(2, 'echo'));
    await pollUntil(async () => String(await usedAt()) !== String(before), 'the note');
  });

  test('ends after its lifetime, however much it is used', async () => {
    let now = Date.now();
    const replica = await start({ now: () => now, limits: { lifetimeMs: 100_000, sweepMs: 1e6 } });
    const client = await startLegacyClient(replica);
    now += 99_000;
    expect((await client.post(callOf(1, 'echo'))).status).toBe(200);
    now += 2_000;
    expect((await client.post(callOf(2, 'echo'))).status).toBe(404);
  });
});

test('more sessions than there may be are refused for a while, per principal and in all', async () => {
  await database().execute(sql`delete from mcp_sessions`);
  const replica = await start({ limits: { sessionsPerPrincipal: 3, sessionsInAll: 5 } });
  const begin = (as: string) => postTo(replica, initialize(), { authorization: `Bearer ${as}` });
  const answers = await Promise.all(Array.from({ length: 10 }, () => begin('greedy')));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
  const refused = answers.find(({ status }) => status !== 200);
  expect(refused?.status).toBe(503);
  expect(refused?.headers.get('retry-after')).toBe('30');
  expect(await refused?.json()).toMatchObject({ id: 1, error: { data: { code: 'sessions_exhausted', retryable: true } } });
  expect((await begin('other')).status).toBe(200);
  expect((await begin('other')).status).toBe(200);
  expect((await begin('third')).status).toBe(503);
  const session = answers.find(({ status }) => status === 200)?.headers.get('mcp-session-id') ?? '';
  await fetch(replica.url, { method: 'DELETE', headers: { authorization: 'Bearer greedy', 'mcp-session-id': session } });
  expect((await begin('third')).status).toBe(200);
});

describe('a client without a session', () => {
  test('is served by itself, with or without a version header', async () => {
    const replica = await start();
    for (const headers of [{}, { 'mcp-protocol-version': '2025-06-18' }] as Record<string, string>[]) {
      const answer = await postTo(replica, request(1, 'tools/list'), { accept: '*/*', ...headers });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('mcp-session-id')).toBeNull();
      expect(await answer.json()).toMatchObject({ id: 1, result: { tools: [{ name: 'echo' }] } });
    }
    expect(replica.fake.requests.map(({ client, session, ask }) => [client.protocolVersion, client.capabilities, session, ask])).toEqual([
      ['2025-03-26', {}, undefined, undefined],
      ['2025-06-18', {}, undefined, undefined],
    ]);
  });

  test('may notify, but has nothing to answer or to end', async () => {
    const replica = await start();
    expect((await postTo(replica, { jsonrpc: '2.0', method: 'notifications/initialized' })).status).toBe(202);
    expect((await postTo(replica, { jsonrpc: '2.0', id: 1, result: {} })).status).toBe(400);
    expect((await fetch(replica.url, { method: 'DELETE' })).status).toBe(400);
  });
});

test('an unknown method is an answer like others, as 404 would say that the session is lost', async () => {
  const replica = await start();
  const client = await startLegacyClient(replica);
  const answer = await client.post(request(1, 'no/such'));
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ id: 1, error: { code: -32601 } });
});

test('a version header that names no legacy version is refused', async () => {
  const replica = await start();
  const client = await startLegacyClient(replica);
  const answer = await postTo(replica, callOf(1, 'echo'), { ...client.headers, 'mcp-protocol-version': '2020-01-01' });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ error: { code: -32022, data: { supported: expect.arrayContaining(['2025-11-25']) } } });
  expect((await getFrom(replica, { ...client.headers, 'mcp-protocol-version': '2020-01-01' })).status).toBe(400);
});

test('while the database is away a session cannot begin, and says when to ask again', async () => {
  const replica = await start();
  const client = await startLegacyClient(replica);
  const { connect } = replica.database.$client;
  const away = Object.assign(new Error('away'), { code: 'ECONNREFUSED' });
  replica.database.$client.connect = ((told?: (error: Error) => void) => (told ? told(away) : Promise.reject(away))) as never;
  const answer = await postTo(replica, initialize());
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toBe('30');
  expect(await answer.json()).toMatchObject({ error: { data: { code: 'store_unavailable' } } });
  expect((await client.post(callOf(1, 'echo'))).status).toBe(200);
  replica.database.$client.connect = connect;
});
