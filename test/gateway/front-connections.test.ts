import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ShortConnection } from '../../gateway/front/short-connection.ts';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { Reply } from '../../gateway/mcp/message.ts';
import type { Principal } from '../../gateway/principal.ts';
import { pollUntil } from '../support/poll-until.ts';
import { modernRequest, person, startRunningEdge } from '../support/running-edge.ts';

type Edge = Awaited<ReturnType<typeof startRunningEdge>>;
let edge: Edge;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await edge.close();
});

const echo = async ({ params }: ClientRequest): Promise<Reply> => ({ kind: 'result', result: { said: params.say ?? null } });

/** A connection that keeps what it is told. */
const open = async () => {
  const socket = connect({ port: edge.port, host: '127.0.0.1' });
  sockets.push(socket);
  const client = { socket, text: '', isClosed: false, isEnded: false };
  socket.setEncoding('latin1').on('data', (piece) => {
    client.text += piece;
  });
  socket
    .on('error', () => undefined)
    .on('end', () => {
      client.isEnded = true;
    });
  socket.on('close', () => {
    client.isClosed = true;
  });
  await once(socket, 'connect');
  return client;
};
const textOf = (say: string, changes: Parameters<typeof modernRequest>[2] = {}, more: Record<string, string> = {}): string => {
  const { headers, body } = modernRequest('test/say', { say, ...more }, changes);
  const all = { host: `127.0.0.1:${edge.port}`, ...headers, 'content-length': String(Buffer.byteLength(body)) };
  return `POST /mcp HTTP/1.1\r\n${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n${body}`;
};
const until = (isSo: () => boolean): Promise<boolean> => pollUntil(() => isSo() || undefined, String(isSo));
const answersIn = (text: string): number => text.split('HTTP/1.1 200').length - 1;

describe('a connection of short requests', () => {
  test('serves one after another, in whatever pieces they come', async () => {
    edge = await startRunningEdge({ handle: echo });
    const client = await open();
    client.socket.write(textOf('one'));
    await until(() => client.text.includes('"said":"one"'));
    const second = textOf('two');
    const bodyAt = second.indexOf('\r\n\r\n') + 4;
    for (const [from, to] of [
      [0, bodyAt],
      [bodyAt, -3],
      [-3, undefined],
    ]) {
      client.socket.write(second.slice(from, to));
      await delay(10);
    }
    await until(() => client.text.includes('"said":"two"'));
    expect(answersIn(client.text)).toBe(2);
    expect(client.text).toContain('keep-alive: timeout=5');
    expect(client.text).toMatch(/\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
  });

  test('answers what comes ahead of its turn in its turn', async () => {
    const held = Promise.withResolvers<void>();
    edge = await startRunningEdge({
      handle: async (request) => {
        if (request.params.say === 'first') await held.promise;
        return echo(request);
      },
    });
    const client = await open();
    client.socket.write(textOf('first'));
    await until(() => edge.requests.length === 1);
    client.socket.write(textOf('second'));
    client.socket.write(textOf('third'));
    await delay(30);
    expect(edge.requests).toHaveLength(1);
    held.resolve();
    await until(() => answersIn(client.text) === 3);
    expect([...client.text.matchAll(/"said":"(\w+)"/g)].map(([, said]) => said)).toEqual(['first', 'second', 'third']);
  });

  test('goes over to the complete server with the first request of another form, and stays there', async () => {
    edge = await startRunningEdge({ handle: echo });
    const client = await open();
    client.socket.write(textOf('short'));
    await until(() => client.text.includes('"said":"short"'));
    client.socket.write(`GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:${edge.port}\r\n\r\n`);
    await until(() => client.text.includes('"status":"ok"'));
    client.socket.write(textOf('after'));
    await until(() => client.text.includes('"said":"after"'));
    const chunked = textOf('chunks').replace(/content-length: \d+/, 'transfer-encoding: chunked');
    const [head = '', body = ''] = chunked.split('\r\n\r\n');
    client.socket.write(`${head}\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    await until(() => client.text.includes('"said":"chunks"'));
    expect(answersIn(client.text)).toBe(4);
  });

  test('ends what went over and says no more when the gateway stops', async () => {
    edge = await startRunningEdge({ drain: { drainMs: 200 } });
    const idle = await open();
    idle.socket.write(`GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:${edge.port}\r\n\r\n`);
    await until(() => idle.text.includes('"status":"ok"'));
    const halfway = await open();
    halfway.socket.write('GET /heal');
    await delay(30);
    const startedAt = performance.now();
    await edge.close();
    expect(performance.now() - startedAt).toBeLessThan(2000);
    await until(() => idle.isClosed && halfway.isClosed);
  });

  test('gives what goes over only so long for its head', { timeout: 20_000 }, async () => {
    edge = await startRunningEdge({ timeouts: { headersMs: 300, requestMs: 600 } });
    const client = await open();
    client.socket.write('GET /heal');
    await until(() => client.isClosed);
    expect(client.text).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('closes the connection of a request that a foreign page could have made', async () => {
    edge = await startRunningEdge({ handle: echo });
    const client = await open();
    client.socket.write(textOf('foreign', { headers: { origin: 'http://evil.example' } }));
    await until(() => client.isClosed);
    expect(client.text).toMatch(/^HTTP\/1\.1 403 /);
    expect(client.text.match(/^(connection|keep-alive): .*$/gm)).toEqual(['connection: close']);
  });

  test('does not begin a request whose client left while it was authenticated', async () => {
    const held = Promise.withResolvers<Principal>();
    let asked = 0;
    edge = await startRunningEdge({
      handle: echo,
      authenticated: () => {
        asked += 1;
        return held.promise;
      },
    });
    const client = await open();
    client.socket.write(textOf('gone'));
    await until(() => asked === 1);
    client.socket.destroy();
    await delay(50);
    held.resolve(person);
    await delay(50);
    expect(edge.requests).toEqual([]);
  });

  test('leaves a body beyond its size to the complete server', async () => {
    edge = await startRunningEdge({ handle: echo });
    const client = await open();
    client.socket.write(textOf('x'.repeat(200_000)));
    await until(() => client.text.length > 200_000);
    expect(answersIn(client.text)).toBe(1);
  });

  test('refuses what is no HTTP as the complete server does', async () => {
    edge = await startRunningEdge({ handle: echo });
    const client = await open();
    client.socket.write('nonsense\r\n\r\n');
    await until(() => client.isClosed);
    expect(client.text).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('tells a request whose client leaves, and a client that says no more is not answered', async () => {
    edge = await startRunningEdge({ handle: () => new Promise(() => undefined) });
    for (const leave of [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.end()]) {
      const client = await open();
      client.socket.write(textOf('waits'));
      await until(() => edge.requests.length > 0);
      const [request] = edge.requests.splice(0);
      expect(request?.signal.aborted).toBe(false);
      leave(client.socket);
      await until(() => request?.signal.aborted === true);
    }
  });

  test('streams an answer that begins with a notification, and serves on', async () => {
    edge = await startRunningEdge({
      handle: async (request) => {
        if (request.params.say === 'stream') await request.notify({ method: 'notifications/progress', params: { progress: 1 } });
        return echo(request);
      },
    });
    const client = await open();
    client.socket.write(textOf('stream'));
    await until(() => client.text.endsWith('\r\n0\r\n\r\n'));
    expect(client.text).toContain('content-type: text/event-stream');
    expect(client.text.indexOf('notifications/progress')).toBeLessThan(client.text.indexOf('"said":"stream"'));
    client.socket.write(textOf('plain'));
    await until(() => client.text.includes('"said":"plain"'));
  });

  test('counts characters beyond ASCII as the bytes that they are', async () => {
    edge = await startRunningEdge({ handle: async () => ({ kind: 'result', result: { said: 'Käse 🧀' } }) });
    const answer = await fetch(`http://127.0.0.1:${edge.port}/mcp`, modernRequest('test/say'));
    expect(((await answer.json()) as { result: object }).result).toMatchObject({ said: 'Käse 🧀' });
  });
});

test('requests sent ahead, of all forms and in any pieces, are answered in their order', async () => {
  edge = await startRunningEdge({
    handle: async (request) => {
      const { wait } = request.params;
      if (wait === 'turn') await new Promise((resolve) => setImmediate(resolve));
      if (wait === 'while') await delay(2);
      if (wait === 'stream') await request.notify({ method: 'notifications/progress', params: { progress: 1 } });
      return echo(request);
    },
  });
  const request = fc.record({
    wait: fc.constantFrom('none', 'turn', 'while', 'stream'),
    padding: fc.constantFrom(0, 0, 0, 3000, 80_000),
    isChunked: fc.constantFrom(false, false, false, true),
  });
  const textFor = ({ wait, padding, isChunked }: { wait: string; padding: number; isChunked: boolean }, index: number): string => {
    const [head = '', body = ''] = textOf(`s${index}`, {}, { wait, padding: 'x'.repeat(padding) }).split('\r\n\r\n');
    if (!isChunked) return `${head}\r\n\r\n${body}`;
    return `${head.replace(/content-length: \d+/, 'transfer-encoding: chunked')}\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  };
  const saidIn = (text: string): (string | undefined)[] => [...text.matchAll(/"said":"(\w+)"/g)].map(([, said]) => said);
  const sendAll = async (requests: Parameters<typeof textFor>[0][], lengths: Iterable<number>): Promise<void> => {
    const client = await open();
    client.socket.setNoDelay(true);
    let rest = requests.map(textFor).join('');
    for (const length of lengths) {
      client.socket.write(rest.slice(0, length));
      rest = rest.slice(length);
      if (rest === '') break;
      if (length % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => client.isClosed || saidIn(client.text).length >= requests.length);
    expect(saidIn(client.text)).toEqual(requests.map((_request, index) => `s${index}`));
    client.socket.destroy();
  };
  const client = fc.tuple(fc.array(request, { minLength: 1, maxLength: 20 }), fc.infiniteStream(fc.integer({ min: 1, max: 3000 })));
  // several at once: what comes in one turn of the event loop differs more
  await fc.assert(
    fc.asyncProperty(fc.array(client, { minLength: 6, maxLength: 6 }), async (clients) => {
      await Promise.all(clients.map(([requests, lengths]) => sendAll(requests, lengths)));
    }),
    { numRuns: 60 },
  );
});

describe('a client that keeps a connection waiting', () => {
  const connection = () => {
    const written: string[] = [];
    let isDestroyed = false;
    const listeners = new Map<string, (bytes: Buffer) => void>();
    const socket = {
      writableLength: 0,
      on: (event: string, listener: () => void) => {
        listeners.set(event, listener);
        return socket;
      },
      off: () => socket,
      end: (text: string, done: () => void) => {
        written.push(text);
        done();
      },
      destroy: () => {
        isDestroyed = true;
      },
    };
    const events = { onRequest: vi.fn(), onOther: vi.fn(), onGone: vi.fn(), timeouts: { headersMs: 20_000, requestMs: 120_000 } };
    const made = new ShortConnection(socket as unknown as Socket, events);
    return {
      written,
      /** Whether it is there after so long. */
      lasts: (milliseconds: number): boolean => {
        made.endIfLate(performance.now() + milliseconds);
        return !isDestroyed;
      },
      say: (text: string) => listeners.get('data')?.(Buffer.from(text)),
    };
  };

  test('with its first bytes loses it after the time for headers', () => {
    const { lasts } = connection();
    expect([lasts(19_000), lasts(20_100)]).toEqual([true, false]);
  });

  test('with the rest of a request is told so after the time for requests', async () => {
    edge = await startRunningEdge();
    const { lasts, say, written } = connection();
    say(textOf('late').slice(0, -5));
    expect([lasts(100_000), written.length, lasts(120_100)]).toEqual([true, 0, false]);
    expect(written[0]).toMatch(/^HTTP\/1\.1 408 /);
  });
});
