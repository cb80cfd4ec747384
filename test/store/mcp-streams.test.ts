import { sql } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { createMcpBus, type McpBusMessage } from '../../store/mcp-bus.ts';
import { createStandingStreamStore } from '../../store/mcp-standing-streams.ts';
import { createMcpStreamWriter } from '../../store/mcp-stream-writer.ts';
import { createMcpStreamStore } from '../../store/mcp-streams.ts';
import { createMcpSweepStore } from '../../store/mcp-sweep.ts';
import { holdInstanceLock } from '../../store/operations.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { pollUntil } from '../support/poll-until.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database, url } = useTestDatabase();
const keys = deriveContentKeys(Buffer.alloc(32, 1).toString('base64'), 'test');
const logger = createLogger({ name: 'test', level: 'silent' });
const storeOf = (instance: string) => createMcpStreamStore({ database: database(), keys, instance });
const opened = (id: string) => ({ id, owner: 'owner', requestIds: [1, 'two\u0000'] });
const now = new Date();
const lost = (ids: (string | number)[], said: string[]) => [`${ids.length} lost after ${said.length}`];

describe('a stream of a request', () => {
  test('is read from any place, and ends once', async () => {
    const store = storeOf('a');
    await store.write(
      { opened: [opened('s1')], events: [1, 2, 3].map((sequence) => ({ stream: 's1', sequence, data: `e${sequence}` })), ended: [] },
      now,
    );
    expect(await store.read('s1', 1)).toEqual([
      { sequence: 2, data: 'e2' },
      { sequence: 3, data: 'e3' },
    ]);
    expect(await store.read('s1', 0, 1)).toEqual([{ sequence: 1, data: 'e1' }]);
    expect(await store.find('s1')).toMatchObject({ owner: 'owner', kind: 'request', endedAt: null, requestIds: [1, 'two\u0000'] });
    await store.write({ opened: [], events: [{ stream: 's1', sequence: 4, data: 'e4' }], ended: ['s1'] }, now);
    await store.write({ opened: [], events: [{ stream: 's1', sequence: 5, data: 'too late' }], ended: ['s1'] }, now);
    expect((await store.read('s1', 3)).map(({ data }) => data)).toEqual(['e4']);
    expect((await store.find('s1'))?.endedAt).toEqual(now);
  });

  test('opens at its own place only', async () => {
    const store = storeOf('a');
    await store.write({ opened: [opened('s2')], events: [{ stream: 's2', sequence: 1, data: 'x' }], ended: [] }, now);
    await database().execute(sql`update mcp_stream_events set sequence = 7 where stream = 's2'`);
    await expect(store.read('s2', 0)).rejects.toMatchObject({ code: 'secret_unavailable' });
  });

  test('is ended by others when its replica is gone, by one of them, behind what the client has seen', async () => {
    const release = await holdInstanceLock(database(), 'b', () => undefined);
    const store = storeOf('b');
    await store.write({ opened: [opened('s3')], events: [{ stream: 's3', sequence: 1, data: 'x' }], ended: [] }, now);
    expect(await storeOf('c').endLost('s3', { after: 1, now, render: lost })).toBe(false);
    release();
    await pollUntil(async () => storeOf('c').endLost('s3', { after: 9, now, render: lost }), 'the lock to be free');
    expect(await storeOf('d').endLost('s3', { after: 1, now, render: lost })).toBe(true);
    await store.write({ opened: [], events: [{ stream: 's3', sequence: 2, data: 'from the dead' }], ended: ['s3'] }, now);
    expect(await store.read('s3', 0)).toEqual([
      { sequence: 1, data: 'x' },
      { sequence: 10, data: '2 lost after 1' },
    ]);
  });

  test('is written by a writer that waits for nobody, in order, also after the database was away', async () => {
    const store = storeOf('a');
    let failures = 3;
    const places: [string, number][] = [];
    const writer = createMcpStreamWriter({
      store: {
        ...store,
        write: async (...write) => {
          if (failures-- > 0)
            throw Object.assign(new Error('away'), { [Symbol.for('quarterdeck.PlatformError')]: true, code: 'store_unavailable' });
          return store.write(...write);
        },
      },
      logger,
      now: Date.now,
      onCommitted: (committed) => places.push(...committed),
      retryDelayMs: 10,
    });
    writer.open('s4', 'owner', [1]);
    for (let sequence = 1; sequence <= 1200; sequence += 1) writer.append('s4', sequence, `e${sequence}`);
    writer.end('s4');
    await pollUntil(() => places.length >= 3, 'all batches');
    await writer.close();
    expect((await store.read('s4', 0, 2000)).map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 1200 }, (_, index) => index + 1),
    );
    expect((await store.find('s4'))?.endedAt).not.toBeNull();
    expect(places.at(-1)).toEqual(['s4', 1200]);
  });
});

describe('a standing stream', () => {
  const standing = (instance: string, at = () => Date.now()) =>
    createStandingStreamStore({ database: database(), keys, instance, now: at, keepEvents: 3, keepMs: 1000 });

  test('gets the messages of all replicas in one order', async () => {
    const [a, b] = [standing('sa'), standing('sb')];
    const locks = await Promise.all(['sa', 'sb'].map((instance) => holdInstanceLock(database(), instance, () => undefined)));
    await a.open('t1', 'o1');
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, index) => (index % 2 ? a : b).append({ owner: 'o1', data: `${index % 2}/${index}` })),
    );
    for (const result of results) expect(result).toMatchObject({ kind: 'appended', stream: 't1', instance: 'sa' });
    const events = await storeOf('x').read('t1', 0);
    expect(events.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    for (const side of ['0', '1']) {
      const own = events.map(({ data }) => data.split('/')).filter(([from]) => from === side);
      expect(own.map(([, index]) => Number(index))).toEqual(own.map(([, index]) => Number(index)).toSorted((left, right) => left - right));
    }
    expect(await a.behind(new Map([['t1', 39]]))).toEqual(['t1']);
    expect(await a.behind(new Map([['t1', 40]]))).toEqual([]);
    for (const release of locks) release();
  });

  test('that nobody reads keeps the newest, for a while, and takes no questions', async () => {
    let at = Date.now();
    const a = standing('sc', () => at);
    const since = await a.open('t2', 'o2');
    await a.detach('t2', since);
    expect(await a.append({ owner: 'o2', data: '?', needsReader: true })).toEqual({ kind: 'unread' });
    for (const data of ['1', '2', '3', '4', '5']) await a.append({ owner: 'o2', data });
    expect((await storeOf('x').read('t2', 0)).map(({ data }) => data)).toEqual(['3', '4', '5']);
    expect(await a.attach('t2', 'o2', 1)).toBeUndefined();
    expect(await a.attach('t2', 'other', 3)).toBeUndefined();
    at += 2000;
    expect(await a.append({ owner: 'o2', data: '6' })).toEqual({ kind: 'unread' });
    expect(await a.attach('t2', 'o2', 2)).toMatchObject({ lastInstance: 'sc', isLost: false });
    // the connection before is noted as gone only now
    await a.detach('t2', since);
    expect(await a.append({ owner: 'o2', data: '6', needsReader: true })).toMatchObject({ kind: 'appended' });
  });

  test('is chosen by who attached last, and a replica that is gone holds none', async () => {
    const [a, b] = [standing('sd'), standing('se')];
    const release = await holdInstanceLock(database(), 'sd', () => undefined);
    await a.open('t3', 'o3');
    expect(await b.append({ owner: 'o3', data: 'x', onlyOurs: true })).toEqual({ kind: 'unread' });
    expect(await b.append({ owner: 'o3', data: 'x', needsReader: true })).toMatchObject({ stream: 't3', instance: 'sd' });
    await new Promise((resolve) => setTimeout(resolve, 2));
    await b.open('t4', 'o3');
    expect(await b.append({ owner: 'o3', data: 'x', onlyOurs: true })).toMatchObject({ stream: 't4' });
    release();
    const c = standing('sf');
    await pollUntil(async () => (await c.append({ owner: 'o3', data: '?', needsReader: true })).kind === 'unread', 'the lock to be free');
    expect(await c.attach('t3', 'o3', 1)).toMatchObject({ lastInstance: 'sd', isLost: true });
  });
});

test('a sweep takes what is over, and nothing else', async () => {
  const store = storeOf('sweeper');
  const sweep = createMcpSweepStore(database());
  const at = (minute: number) => new Date(Date.UTC(2020, 0, 1, 0, minute));
  const event = (stream: string) => ({ stream, sequence: 1, data: 'x' });
  await store.write(
    {
      opened: [
        { ...opened('w1'), owner: 'w' },
        { ...opened('w2'), owner: 'w' },
      ],
      events: [event('w1'), event('w2')],
      ended: [],
    },
    at(0),
  );
  await store.write({ opened: [], events: [], ended: ['w1'] }, at(10));
  expect(await sweep.removeEnded(at(9))).toBe(false);
  expect(await store.find('w1')).toBeDefined();
  await sweep.removeEnded(at(10));
  expect(await store.find('w1')).toBeUndefined();
  expect(await store.read('w1', 0)).toEqual([]);
  expect(await sweep.unended('other', at(5))).toEqual(['w2']);
  expect(await sweep.unended('sweeper', at(5))).toEqual([]);
  await sweep.removeStreamsOf('w');
  expect(await store.find('w2')).toBeUndefined();
  // its replica does not know yet
  await store.write({ opened: [], events: [{ ...event('w2'), sequence: 2 }], ended: ['w2'] }, at(20));
  expect(await store.read('w2', 0)).toEqual([]);
});

test('the bus reaches the other replicas, and listens again when its connection was lost', async () => {
  const heard: string[] = [];
  let listening = 0;
  const buses = ['one', 'two'].map((instance) => {
    const own = openDatabase({ url: url(), max: 3, name: `bus-${instance}` });
    const bus = createMcpBus({
      database: own,
      instance,
      logger,
      onMessage: (message: McpBusMessage) => heard.push(`${instance} ${JSON.stringify(message)}`),
      onListening: () => {
        listening += 1;
      },
      retryDelayMs: 10,
    });
    const close = (): Promise<void> => {
      bus.close();
      return closeDatabase(own);
    };
    return { bus, close };
  });
  await pollUntil(() => listening === 2, 'both to listen');
  buses[0]?.bus.tell({ kind: 'answer', id: 'x' });
  await pollUntil(() => heard.length === 1, 'the message');
  expect(heard).toEqual(['two {"kind":"answer","id":"x"}']);
  await database().execute(
    sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'quarterdeck-bus-two'`,
  );
  await pollUntil(() => listening === 3, 'the second to listen again');
  buses[0]?.bus.tell({ kind: 'follow', stream: 's' });
  await pollUntil(() => heard.length === 2, 'the message');
  for (const { close } of buses) await close();
});
