import { sql } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { Reply } from '../../gateway/mcp/message.ts';
import { callOf, getFrom, postTo, SseReader, startLegacyClient } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startFakeSurface, useLegacyReplicas } from '../support/running-legacy.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { url, database } = useTestDatabase();
const start = useLegacyReplicas(url);

const progress = (count: number) => ({ method: 'notifications/progress', params: { progressToken: 't', progress: count } });
const done: Reply = { kind: 'result', result: { content: [] } };
/** A tool that says what the test tells it to. */
const startPuppet = () => {
  const begun = Promise.withResolvers<ClientRequest>();
  const end = Promise.withResolvers<Reply>();
  const fake = startFakeSurface({
    puppet: (request) => {
      begun.resolve(request);
      return end.promise;
    },
  });
  return {
    fake,
    say: async (count: number) => (await begun.promise).notify(progress(count)),
    end: (reply: Reply = done) => end.resolve(reply),
    begun: begun.promise,
  };
};
/** The numbers of the progress notifications of a stream, and `end` for the answer. */
const told = (events: { data?: string }[]): (number | 'end' | 'lost')[] =>
  events.flatMap(({ data }) => {
    if (!data) return [];
    const message = JSON.parse(data);
    if (message.result) return ['end'];
    return message.error ? ['lost'] : [message.params.progress];
  });

describe('a stream of a request', () => {
  test('begins with the first notification: a priming event, numbered events, the answer, the end', async () => {
    const puppet = startPuppet();
    const client = await startLegacyClient(await start({ fake: puppet.fake }));
    const answering = client.post(callOf(7, 'puppet'));
    await puppet.say(1);
    await puppet.say(2);
    puppet.end();
    const answer = await answering;
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const events = await new SseReader(answer).rest();
    const stream = events[0]?.id?.split(':')[0];
    expect(events).toEqual([
      { event: 'message', id: `${stream}:0`, data: '' },
      { event: 'message', id: `${stream}:1`, data: JSON.stringify({ jsonrpc: '2.0', ...progress(1) }) },
      { event: 'message', id: `${stream}:2`, data: JSON.stringify({ jsonrpc: '2.0', ...progress(2) }) },
      { event: 'message', id: `${stream}:3`, data: '{"jsonrpc":"2.0","id":7,"result":{"content":[]}}' },
    ]);
  });

  test.each(['2025-06-18', '2025-03-26', '2024-11-05'])(
    'of %s has no event without data, which its clients do not take',
    async (version) => {
      const puppet = startPuppet();
      const client = await startLegacyClient(await start({ fake: puppet.fake }), { version });
      const answering = client.post(callOf(7, 'puppet'));
      await puppet.say(1);
      puppet.end();
      const events = await new SseReader(await answering).rest();
      expect(told(events)).toEqual([1, 'end']);
      expect(events.every(({ id, data }) => id && data)).toBe(true);
    },
  );

  test('begins by itself when the answer takes long, so that it can be taken up', async () => {
    const puppet = startPuppet();
    const replica = await start({ fake: puppet.fake, limits: { quietMs: 30 } });
    const client = await startLegacyClient(replica);
    const answer = await client.post(callOf(7, 'puppet'));
    const reader = new SseReader(answer);
    const first = await reader.next();
    await reader.cancel();
    puppet.end();
    const resumed = await client.get(first?.id);
    expect(told(await new SseReader(resumed).rest())).toEqual(['end']);
  });

  test('is sealed in the database', async () => {
    const puppet = startPuppet();
    const client = await startLegacyClient(await start({ fake: puppet.fake }));
    const answering = client.post(callOf(7, 'puppet'));
    await puppet.say(1);
    puppet.end({ kind: 'result', result: { content: [{ type: 'text', text: 'very secret' }] } });
    const [, last] = await new SseReader(await answering).rest();
    const stream = last?.id?.split(':')[0];
    const rows = await pollUntil(async () => {
      const found = await database().execute<{ message: Buffer }>(sql`select message from mcp_stream_events where stream = ${stream}`);
      return found.rows.length === 2 ? found.rows : undefined;
    }, 'the rows');
    for (const { message } of rows) expect(message.toString('latin1')).not.toMatch(/secret|progress/);
  });
});

/** Reads a stream up to a number of progress events, and breaks it off. @returns the id of the last event */
const readUpTo = async (answer: Response, count: number): Promise<string | undefined> => {
  const reader = new SseReader(answer);
  for (;;) {
    const event = await reader.next();
    if (!event) throw new Error('the stream ended');
    if (count === 0 || (event.data && JSON.parse(event.data).params.progress === count)) {
      await reader.cancel();
      return event.id;
    }
  }
};

describe('a stream that was broken off', () => {
  describe.each(['same', 'other'])('is taken up at the %s replica', (where) => {
    const startBoth = async (limits: object = {}) => {
      const puppet = startPuppet();
      const first = await start({ fake: puppet.fake, limits });
      const to = where === 'same' ? first : await start({ limits });
      const client = await startLegacyClient(first);
      return { puppet, first, to, client };
    };

    test('what is missing once and in order, then what comes', async () => {
      const { puppet, client, to } = await startBoth();
      const answering = client.post(callOf(7, 'puppet'));
      await puppet.say(1);
      const place = await readUpTo(await answering, 1);
      for (const count of [2, 3, 4]) await puppet.say(count);
      const reader = new SseReader(await client.get(place, to));
      expect(await reader.next()).toEqual({ event: 'message', id: place, data: '' });
      expect(told([(await reader.next()) ?? {}, (await reader.next()) ?? {}, (await reader.next()) ?? {}])).toEqual([2, 3, 4]);
      await puppet.say(5);
      puppet.end();
      const rest = await reader.rest();
      expect(told(rest)).toEqual([5, 'end']);
      // and again from the same place, as if the reader had been cut off once more
      expect(told(await new SseReader(await client.get(place, to)).rest())).toEqual([2, 3, 4, 5, 'end']);
      const over = await client.get(rest.at(-1)?.id, to);
      expect([over.status, await over.text()]).toEqual([204, '']);
    });

    test('from its very beginning', async () => {
      const { puppet, client, to } = await startBoth();
      const answering = client.post(callOf(7, 'puppet'));
      await puppet.say(1);
      const place = await readUpTo(await answering, 0);
      expect(place).toMatch(/:0$/);
      puppet.end();
      expect(told(await new SseReader(await client.get(place, to)).rest())).toEqual([1, 'end']);
    });

    test('exactly once, however often it breaks while a lot is said', async () => {
      const { puppet, client, first, to } = await startBoth({ lookMs: 50, recentLength: 2000 });
      const last = 400;
      const answering = client.post(callOf(7, 'puppet'));
      const saying = (async () => {
        for (let count = 1; count <= last; count += 1) {
          await puppet.say(count);
          if (count % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        }
        puppet.end();
      })();
      const seen: (number | string)[] = [];
      let place: string | undefined;
      let answer = await answering;
      for (let turn = 0; seen.at(-1) !== 'end'; turn += 1) {
        const reader = new SseReader(answer);
        const most = 1 + ((turn * 37) % 60);
        let count = 0;
        for (let event = await reader.next(); event; event = await reader.next()) {
          place = event.id;
          seen.push(...told([event]));
          count += 1;
          if (count > most) break;
        }
        await reader.cancel();
        if (seen.at(-1) !== 'end') answer = await client.get(place, turn % 2 === 0 ? to : first);
      }
      await saying;
      expect(seen).toEqual([...Array.from({ length: last }, (_, index) => index + 1), 'end']);
    });

    test('by its own session only, and not from what it never said', async () => {
      const { puppet, client, first, to } = await startBoth();
      const answering = client.post(callOf(7, 'puppet'));
      await puppet.say(1);
      const place = (await readUpTo(await answering, 1)) ?? '';
      const [stream] = place.split(':');
      const others = [await startLegacyClient(first), await startLegacyClient(first, { as: 'mallory' })];
      const refused = [
        ...(await Promise.all(others.map((other) => other.get(place, to)))),
        await getFrom(to, { 'last-event-id': place }),
        await client.get('garbage', to),
        await client.get(`${stream}:x`, to),
        await client.get(`${stream?.split('').reverse().join('')}:1`, to),
        ...(where === 'same' ? [await client.get(`${stream}:99`, to)] : []),
      ];
      for (const answer of refused) {
        expect(answer.status).toBe(400);
        expect(await answer.json()).toMatchObject({ id: null, error: { data: { code: 'stream_unknown' } } });
      }
      puppet.end();
    });
  });

  test('is not kept for ever', async () => {
    let now = Date.now();
    const puppet = startPuppet();
    const replica = await start({ fake: puppet.fake, now: () => now, limits: { sweepMs: 30 } });
    const client = await startLegacyClient(replica);
    const answering = client.post(callOf(7, 'puppet'));
    await puppet.say(1);
    const place = await readUpTo(await answering, 1);
    puppet.end();
    expect(told(await new SseReader(await client.get(place)).rest())).toEqual(['end']);
    await pollUntil(async () => {
      const { rows } = await database().execute(sql`select from mcp_streams where id = ${place?.split(':')[0]} and ended_at is not null`);
      return rows.length === 1;
    }, 'the end in the database');
    now += 4 * 60_000;
    await client.post(callOf(8, 'echo'));
    expect(told(await new SseReader(await client.get(place)).rest())).toEqual(['end']);
    now += 2 * 60_000;
    await pollUntil(async () => (await client.get(place)).status === 400, 'the sweep');
    const { rows } = await database().execute(sql`select from mcp_stream_events where stream = ${place?.split(':')[0]}`);
    expect(rows).toEqual([]);
  });

  test('has the whole of a large answer, and the events before it', async () => {
    const puppet = startPuppet();
    const first = await start({ fake: puppet.fake });
    const second = await start();
    const client = await startLegacyClient(first);
    const answering = client.post(callOf(7, 'puppet'));
    await puppet.say(1);
    const place = await readUpTo(await answering, 1);
    const text = 'x'.repeat(3_000_000);
    for (let count = 2; count < 200; count += 1) await puppet.say(count);
    puppet.end({ kind: 'result', result: { content: [{ type: 'text', text }] } });
    for (const to of [first, second]) {
      const events = await new SseReader(await client.get(place, to)).rest();
      expect(told(events)).toEqual([...Array.from({ length: 198 }, (_, index) => index + 2), 'end']);
      expect(events.at(-1)?.data).toContain(text);
    }
  });

  test('of a replica that is gone ends with an error for each request that was not answered', async () => {
    const puppet = startPuppet();
    const first = await start({ fake: puppet.fake });
    const second = await start({ limits: { lookMs: 50 } });
    const third = await start({ limits: { lookMs: 50 } });
    const client = await startLegacyClient(first, { version: '2025-03-26' });
    const answering = client.post([callOf(1, 'echo'), callOf(2, 'puppet')]);
    await puppet.say(1);
    const reader = new SseReader(await answering);
    const seen: string[] = [];
    while (seen.length < 2) seen.push((await reader.next())?.id ?? '');
    const [stream] = seen[0]?.split(':') ?? [];
    await pollUntil(async () => {
      const { rows } = await database().execute(sql`select from mcp_stream_events where stream = ${stream}`);
      return rows.length === 2;
    }, 'the events in the database');
    const waiting = await client.get(seen[1], second);
    await first.kill();
    const [fromSecond, fromThird] = await Promise.all([
      new SseReader(waiting).rest(),
      new SseReader(await client.get(seen[1], third)).rest(),
    ]);
    expect(fromSecond).toHaveLength(1);
    expect(fromThird).toEqual(fromSecond);
    expect(JSON.parse(fromSecond[0]?.data ?? '')).toMatchObject({
      id: 2,
      error: { code: -32010, data: { code: 'replica_lost', retryable: false } },
    });
    expect((await client.get(fromSecond[0]?.id, third)).status).toBe(204);
  });

  test('of a replica that only lost its lock hears no two ends', async () => {
    const puppet = startPuppet();
    const first = await start({ fake: puppet.fake });
    const second = await start({ limits: { lookMs: 50 } });
    const client = await startLegacyClient(first);
    const answering = client.post(callOf(2, 'puppet'));
    await puppet.say(1);
    const place = await readUpTo(await answering, 1);
    await pollUntil(async () => {
      const { rows } = await database().execute(sql`select from mcp_stream_events where stream = ${place?.split(':')[0]}`);
      return rows.length === 1;
    }, 'the event in the database');
    await database().execute(
      sql`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and pid in
        (select pid from pg_stat_activity where application_name = ${`quarterdeck-legacy-${first.instance.slice(0, 8)}`})`,
    );
    const events = await new SseReader(await client.get(place, second)).rest();
    expect(told(events)).toEqual(['lost']);
    await puppet.say(2);
    puppet.end();
    await pollUntil(async () => {
      const answer = await client.get(place, second);
      return told(await new SseReader(answer).rest()).join() === 'lost';
    }, 'the same end');
  });
});

test('a client without a session takes up its own streams', async () => {
  const puppet = startPuppet();
  const first = await start({ fake: puppet.fake });
  const second = await start();
  const version = { 'mcp-protocol-version': '2025-11-25' };
  const answering = postTo(first, callOf(7, 'puppet'), version);
  await puppet.say(1);
  const place = (await readUpTo(await answering, 1)) ?? '';
  puppet.end();
  const resumed = await getFrom(second, { ...version, 'last-event-id': place });
  expect(told(await new SseReader(resumed).rest())).toEqual(['end']);
  expect((await getFrom(second, { authorization: 'Bearer mallory', 'last-event-id': place })).status).toBe(400);
});

test('a reader that stops does not stop the request, and finds everything later', async () => {
  const puppet = startPuppet();
  const replica = await start({ fake: puppet.fake, limits: { uncommittedLength: 100_000, recentLength: 10_000 } });
  const client = await startLegacyClient(replica);
  const answering = client.post(callOf(7, 'puppet'));
  await puppet.say(1);
  const place = await readUpTo(await answering, 1);
  const { notify } = await puppet.begun;
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  for (let count = 2; count <= 300; count += 1)
    await notify({ method: 'notifications/progress', params: { progressToken: 't', progress: count, message: 'y'.repeat(50_000) } });
  // 15 MB were said; what is committed is not kept in memory
  expect(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before).toBeLessThan(120_000_000);
  puppet.end();
  expect(told(await new SseReader(await client.get(place)).rest())).toEqual([
    ...Array.from({ length: 299 }, (_, index) => index + 2),
    'end',
  ]);
});

describe('a gateway that stops', () => {
  test('lets requests end, whether they have a stream or not', async () => {
    const puppet = startPuppet();
    const open = Promise.withResolvers<Reply>();
    const quiet = startFakeSurface({ quiet: () => open.promise });
    const [first, second] = [await start({ fake: puppet.fake }), await start({ fake: quiet })];
    const client = await startLegacyClient(first);
    const streaming = client.post(callOf(1, 'puppet'));
    await puppet.say(1);
    const plain = client.post(callOf(2, 'quiet'), second);
    await pollUntil(() => quiet.requests.length === 1, 'the request');
    const closing = [first.edge.close(), second.edge.close()];
    await puppet.say(2);
    puppet.end();
    open.resolve(done);
    expect(told(await new SseReader(await streaming).rest())).toEqual([1, 2, 'end']);
    expect(await (await plain).json()).toMatchObject({ id: 2, result: {} });
    await Promise.all(closing);
  });

  test('ends what takes too long, and its client finds the end at another replica', async () => {
    const puppet = startPuppet();
    puppet.begun.then(({ signal }) =>
      signal.addEventListener('abort', () => puppet.end({ kind: 'error', error: { code: -32010, message: 'stopped' } })),
    );
    const first = await start({ fake: puppet.fake, limits: { drainMs: 50 } });
    const second = await start();
    const client = await startLegacyClient(first);
    const answering = client.post(callOf(1, 'puppet'));
    await puppet.say(1);
    const place = await readUpTo(await answering, 1);
    await first.close();
    const events = await new SseReader(await client.get(place, second)).rest();
    expect(JSON.parse(events.at(-1)?.data ?? '')).toMatchObject({ id: 1, error: { message: 'stopped' } });
  });
});
