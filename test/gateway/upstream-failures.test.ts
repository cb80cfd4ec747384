import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import type { Notification } from '../../gateway/mcp/message.ts';
import { ResultTooLarge } from '../../gateway/upstream/result-too-large.ts';
import { pollUntil } from '../support/poll-until.ts';
import { discovered, hugeAnswer, type RawAnswer, type RawMcpServer, startRawMcpServer, writeEvents } from '../support/raw-mcp-server.ts';
import { anyone, callText, startUpstreamHarness, toolCall, type UpstreamHarness } from '../support/upstream-harness.ts';

const mebibyte = 1024 * 1024;
let harness: UpstreamHarness;
const raw: RawMcpServer[] = [];

beforeAll(async () => {
  harness = await startUpstreamHarness();
});
afterAll(async () => {
  await harness.close();
  for (const server of raw) await server.close();
});

let count = 0;
/** A server by hand, declared under a name of its own, and a pool that is connected to it. */
const start = async (answers: Record<string, RawAnswer> = {}, options: Parameters<typeof startRawMcpServer>[1] = {}) => {
  const server = await startRawMcpServer(answers, options);
  raw.push(server);
  const pool = harness.startPool();
  count += 1;
  const declared = await harness.declare(`raw-${count}`, { url: server.url });
  return { server, pool, declared };
};
const connect = async (...given: Parameters<typeof start>) => {
  const { server, pool, declared } = await start(...given);
  return { server, pool, declared, connection: await pool.connect(declared, anyone) };
};
const progress = (token: unknown, done: number) => ({
  method: 'notifications/progress',
  params: { progressToken: token, progress: done },
});
const within = async <T>(ms: number, work: Promise<T>): Promise<T> => {
  const before = performance.now();
  try {
    return await work;
  } finally {
    expect(performance.now() - before).toBeLessThan(ms);
  }
};

describe('a call that gets no answer', () => {
  test('since the connection was reset after progress ends once, within a second, and may have been made', async () => {
    const { connection, server } = await connect({
      'tools/call': ({ id }, { response }) => {
        writeEvents(response, progress(id, 1), progress(id, 2));
        setTimeout(() => response.destroy(), 50);
        return undefined;
      },
    });
    const heard: Notification[] = [];
    const call = connection.request(toolCall('act', {}, { wantsProgress: true, onNotification: (each) => void heard.push(each) }));
    await expect(within(1000, call)).rejects.toMatchObject({ wasSent: true, reason: 'connection' });
    expect(heard).toHaveLength(2);
    expect(server.countOf('tools/call')).toBe(1);
  });

  test('is given up when nothing is heard, which progress puts off, and at the latest after its whole time', async () => {
    const timers: NodeJS.Timeout[] = [];
    const { connection, server } = await connect({
      'tools/call': ({ id, params }, { response }) => {
        let done = 0;
        const tick = () => writeEvents(response, progress(id, done++));
        if (JSON.stringify(params).includes('"chatty":true')) timers.push(setInterval(tick, 50));
        return undefined;
      },
    });
    const times = { idleTimeoutMs: 200, totalTimeoutMs: 600, wantsProgress: true, onNotification: () => undefined };
    const silent = connection.request(toolCall('act', { chatty: false }, times));
    await expect(within(450, silent)).rejects.toMatchObject({ wasSent: true, reason: 'deadline' });
    const before = performance.now();
    await expect(connection.request(toolCall('act', { chatty: true }, times))).rejects.toMatchObject({ wasSent: true, reason: 'deadline' });
    expect(performance.now() - before).toBeGreaterThan(550);
    await pollUntil(() => server.countOf('notifications/cancelled') === 2 || undefined, 'that it is taken back', 1000);
    for (const timer of timers) clearInterval(timer);
  });

  test.each<[string, RawAnswer]>([
    ['is no JSON', (_message, { response }) => void response.writeHead(200, { 'content-type': 'application/json' }).end('<html>')],
    ['is a page', (_message, { response }) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html></html>')],
    ['has neither result nor error', () => ({ result: 'done' })],
    ['is for another request', ({ id }) => ({ id: `${id}0`, result: { content: [] } })],
    ['is empty', (_message, { response }) => void response.writeHead(202).end()],
  ])('since what came %s may have been made', async (_what, answer) => {
    const { connection } = await connect({ 'tools/call': answer });
    await expect(connection.request(toolCall('act'))).rejects.toMatchObject({ wasSent: true, reason: 'unusable' });
  });

  test('since the server answers with a redirect is not made elsewhere', async () => {
    const elsewhere = await startRawMcpServer();
    raw.push(elsewhere);
    const { connection } = await connect({
      'tools/call': (_message, { response }) => void response.writeHead(307, { location: elsewhere.url }).end(),
    });
    await expect(connection.request(toolCall('act'))).rejects.toMatchObject({ reason: 'refused' });
    expect(elsewhere.seen).toHaveLength(0);
  });

  test.each([
    [500, false],
    [503, false],
    [401, true],
    [404, true],
    [413, true],
    [429, true],
  ])('since somebody refuses it with a bare %i may have been made, and was sent back: %s', async (status, isSentBack) => {
    const { connection } = await connect({ 'tools/call': (_message, { response }) => void response.writeHead(status).end('<html>') });
    await expect(connection.request(toolCall('act'))).rejects.toMatchObject({ wasSent: true, reason: 'refused', cause: { isSentBack } });
  });

  test('since its legacy session is not known, again and again, was certainly not made', async () => {
    const { connection, server } = await connect({
      initialize: (_message, { response }) => {
        response.setHeader('mcp-session-id', 'forgotten');
        return { result: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1' } } };
      },
      'tools/call': (_message, { response }) => void response.writeHead(404).end(),
    });
    await expect(connection.request(toolCall('act'))).rejects.toMatchObject({ wasSent: false, reason: 'refused' });
    expect(server.countOf('tools/call')).toBe(2);
  });

  test('since the server is gone was certainly not sent', async () => {
    const { connection, server } = await connect();
    const gone = once(server.http, 'close');
    await server.close();
    await gone;
    // a connection that ends just when it is used again is another matter: that nothing arrived is not certain then
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(connection.request(toolCall('act'))).rejects.toMatchObject({ wasSent: false, reason: 'connection' });
  });
});

describe('an answer', () => {
  test.each(['application/json', 'text/event-stream'])('of 200 MB as %s is cut off', async (contentType) => {
    const huge = hugeAnswer(contentType);
    const { connection } = await connect({
      'tools/call': huge.answer,
    });
    const inUse = () => {
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const before = inUse();
    let peak = 0;
    const watch = setInterval(() => {
      peak = Math.max(peak, inUse() - before);
    }, 2);
    await expect(connection.request(toolCall('act'))).rejects.toBeInstanceOf(ResultTooLarge);
    clearInterval(watch);
    expect(huge.state.written).toBeLessThan(60);
    // twice the limit, and the test's own server counts too
    expect(peak / mebibyte).toBeLessThan(64);
  });

  test('just below the limit is handed over whole', async () => {
    const text = 'x'.repeat(16 * mebibyte);
    const { connection } = await connect({ 'tools/call': () => ({ result: { content: [{ type: 'text', text }] } }) });
    expect((await callText(connection, 'act')).length).toBe(text.length);
  });

  test('that asks for input is handed over: the call is not sent again', async () => {
    const result = { resultType: 'input_required', requestState: 'more' };
    const { connection, server } = await connect({ 'server/discover': () => discovered(), 'tools/call': () => ({ result }) });
    expect(await connection.request(toolCall('act'))).toEqual({ kind: 'result', result });
    expect([server.countOf('tools/call'), server.countOf('initialize')]).toEqual([1, 0]);
  });

  test('of a stream waits for who takes its progress, so that a slow one slows the server', async () => {
    const filler = 'x'.repeat(64 * 1024);
    let written = 0;
    const { connection } = await connect({
      'tools/call': async ({ id }, { response }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const events = function* () {
          for (written = 0; written < 1000; written += 1)
            yield `data: ${JSON.stringify({ jsonrpc: '2.0', ...progress(id, written), filler })}\n\n`;
          yield `data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'done' }] } })}\n\n`;
        };
        await pipeline(Readable.from(events()), response);
        return undefined;
      },
    });
    const gate = Promise.withResolvers<void>();
    let heard = 0;
    const onNotification = () => {
      heard += 1;
      return gate.promise;
    };
    const call = callText(connection, 'act', {}, { wantsProgress: true, onNotification });
    const calm = async (): Promise<number> => {
      const before = written;
      await new Promise((resolve) => setTimeout(resolve, 150));
      return before === written ? written : calm();
    };
    expect(await calm()).toBeLessThan(400);
    expect(heard).toBe(1);
    gate.resolve();
    expect(await call).toBe('done');
    expect(heard).toBe(1000);
  });
});

describe('listing', () => {
  test.each<[string, RawAnswer, RegExp]>([
    [
      'without end',
      ({ params }) => ({ result: { tools: [], nextCursor: `${params?.cursor ?? ''}x` } }),
      /without end: more than 100 pages/,
    ],
    ['in a circle', () => ({ result: { tools: [], nextCursor: 'again' } }), /in a circle/],
    ['never answered', () => new Promise(() => undefined), /does not list its tools|in time/],
    ['that fails', () => ({ error: { code: -32603, message: 'broken' } }), /broken/],
  ])('%s makes the server unavailable, and says so', async (_what, answer, message) => {
    const { pool, declared } = await start({ 'tools/list': answer });
    await expect(pool.connect(declared, anyone)).rejects.toMatchObject({
      code: 'server_unavailable',
      detail: expect.stringMatching(message),
    });
  });

  test('and greeting have one deadline together', async () => {
    let page = 0;
    const { declared } = await start({
      'tools/list': async () => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return { result: { tools: [], nextCursor: `page-${page++}` } };
      },
    });
    const pool = harness.startPool({ connectTimeoutMs: 500 });
    await expect(within(1500, pool.connect(declared, anyone))).rejects.toMatchObject({ code: 'server_unavailable' });
  });

  test('leaves out tools whose parameter headers break the rules, and no others', async () => {
    const tool = (name: string, properties: object) => ({ name, inputSchema: { type: 'object', properties } });
    const { connection } = await connect({
      'server/discover': () => discovered(),
      'tools/list': () => ({
        result: {
          tools: [
            tool('good', { region: { type: 'string', 'x-mcp-header': 'Region' } }),
            tool('bad', { region: { type: 'object', 'x-mcp-header': 'Region' } }),
          ],
        },
      }),
    });
    expect([...connection.offered.keys()]).toEqual(['tool/good']);
  });
});

describe('what a server offers', () => {
  test('is compared again after a minute, and as soon as it says that it changed', async () => {
    const { pool, declared, server, connection } = await connect();
    const pinned = connection.offered.get('tool/act');
    await pollUntil(() => server.listeners.size > 0 || undefined, 'a listener');
    server.answers['tools/list'] = () => ({ result: { tools: [{ name: 'act', description: 'new', inputSchema: { type: 'object' } }] } });
    expect((await pool.connect(declared, anyone)).offered.get('tool/act')).toBe(pinned);
    harness.clock.skip(60_000);
    expect((await pool.connect(declared, anyone)).offered.get('tool/act')).not.toBe(pinned);
    server.answers['tools/list'] = () => ({ result: { tools: [] } });
    server.tell('notifications/tools/list_changed');
    await pollUntil(() => connection.offered.size === 0 || undefined, 'another look', 2000);
  });

  test('is read again every few seconds of a server in use that tells of no changes', async () => {
    const { server, connection } = await connect({}, { onGet: ({ response }) => void response.writeHead(405).end() });
    const pinned = connection.offered.get('tool/act');
    server.answers['tools/list'] = () => ({ result: { tools: [{ name: 'act', description: 'new', inputSchema: { type: 'object' } }] } });
    await pollUntil(() => connection.offered.get('tool/act') !== pinned || undefined, 'another look', 5000);
  });

  test('and nothing of it goes to a server that was deleted under the same name', async () => {
    const { pool, declared, server: old } = await start();
    const present = await startRawMcpServer();
    raw.push(present);
    await callText(await pool.connect(declared, anyone), 'act');
    const { name } = declared.metadata;
    await harness.remove(name);
    const moved = await harness.declare(name, { url: present.url });
    await callText(await pool.connect(moved, anyone), 'act');
    expect([old.countOf('tools/call'), present.countOf('tools/call')]).toEqual([1, 1]);
  });
});

describe('a server that does not answer', () => {
  test('is not asked for a while, tried by one call, and taken back; who listens is told', async () => {
    const port = await freePort();
    const first = await startRawMcpServer({}, { port });
    const pool = harness.startPool();
    const declared = await harness.declare('breaking', { url: first.url });
    const told: string[] = [];
    pool.onServerChange((server) => void told.push(pool.healthOf(server)));
    const changes: string[] = [];
    await pool.listen(declared, undefined, { lists: true }, ({ method }) => void changes.push(method));
    await first.close();
    const attempt = () => pool.connect(declared, anyone, { longestAgeMs: 0 }).catch((error: { detail: string }) => error.detail);
    for (let attempts = 0; attempts < 3; attempts += 1) await attempt();
    expect(pool.healthOf(declared)).toBe('open');
    expect(await within(50, attempt())).toMatch(/did not answer lately; it is asked again in [12] s/);
    const second = await startRawMcpServer({}, { port });
    raw.push(second);
    harness.clock.skip(2500);
    expect(pool.healthOf(declared)).toBe('half-open');
    await pollUntil(async () => typeof (await attempt()) !== 'string' || undefined, 'that it is taken back');
    expect(pool.healthOf(declared)).toBe('closed');
    expect(told).toEqual(expect.arrayContaining(['open', 'closed']));
    await pollUntil(() => changes.includes('notifications/tools/list_changed') || undefined, 'that who listens is told');
  });

  test('is one from which nothing comes: calls that run into their deadline while it speaks say nothing against it', async () => {
    const timers: NodeJS.Timeout[] = [];
    const { connection, pool, declared } = await connect({
      'tools/call': ({ id, params }, { response }) => {
        let done = 0;
        if (JSON.stringify(params).includes('chatty')) timers.push(setInterval(() => writeEvents(response, progress(id, done++)), 20));
        return undefined;
      },
    });
    const times = { idleTimeoutMs: 150, totalTimeoutMs: 300, wantsProgress: true, onNotification: () => undefined };
    const lose = (kind: string, calls: number) =>
      Promise.all(
        Array.from({ length: calls }, () =>
          expect(connection.request(toolCall('act', { kind }, times))).rejects.toMatchObject({ reason: 'deadline' }),
        ),
      );
    await lose('chatty', 6);
    expect(pool.healthOf(declared)).toBe('closed');
    await Promise.all([lose('chatty', 1), lose('silent', 6)]);
    expect(pool.healthOf(declared)).toBe('closed');
    for (const timer of timers) clearInterval(timer);
    // what it said last may be read while the first of them wait
    await pollUntil(async () => {
      await lose('silent', 5);
      return pool.healthOf(declared) === 'open' || undefined;
    }, 'the server that says nothing to be left alone');
  });

  test('does so for one caller at a time while it is tried', async () => {
    const { pool, declared, server } = await start({ initialize: (_message, { response }) => void response.destroy() });
    for (let attempts = 0; attempts < 5; attempts += 1) await pool.connect(declared, anyone).catch(() => undefined);
    expect(pool.healthOf(declared)).toBe('open');
    harness.clock.skip(5000);
    const before = server.countOf('initialize');
    await Promise.all(Array.from({ length: 20 }, () => pool.connect(declared, anyone).catch(() => undefined)));
    expect(server.countOf('initialize') - before).toBe(1);
  });
});

describe('a server of the other era', () => {
  test('that takes the place of a modern one is found out, and the call that shows it was not made', async () => {
    const { server, pool, declared, connection } = await connect({
      'server/discover': () => discovered(),
      'tools/call': ({ params }, { response }) => {
        const isModern = params?._meta !== undefined && JSON.stringify(params).includes('protocolVersion');
        if (!isModern || server.answers['server/discover']) return { result: { content: [{ type: 'text', text: 'done' }] } };
        const error = { code: -32000, message: 'Bad Request: Server not initialized' };
        response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
        return undefined;
      },
    });
    expect(connection.era).toBe('modern');
    expect(await callText(connection, 'act')).toBe('done');
    delete server.answers['server/discover'];
    await expect(connection.request(toolCall('act'))).rejects.toMatchObject({ wasSent: false, reason: 'refused' });
    const second = await pool.connect(declared, anyone);
    expect(second.era).toBe('legacy');
    expect(await callText(second, 'act')).toBe('done');
  });

  test('that takes the place of a legacy one is found out too', async () => {
    const { server, pool, declared, connection } = await connect();
    expect(connection.era).toBe('legacy');
    const reject: RawAnswer = (_message, { response }) => {
      const error = { code: -32022, message: 'Unsupported protocol version', data: { supported: ['2026-07-28'] } };
      response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
      return undefined;
    };
    Object.assign(server.answers, { 'server/discover': () => discovered(), 'tools/call': reject });
    await expect(connection.request(toolCall('act'))).rejects.toMatchObject({ wasSent: false, reason: 'refused' });
    delete server.answers['tools/call'];
    expect((await pool.connect(declared, anyone)).era).toBe('modern');
  });
});
