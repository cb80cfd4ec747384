import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { Reply } from '../../gateway/mcp/message.ts';
import { pollUntil } from '../support/poll-until.ts';
import { modernRequest, type RunningEdge, startRunningEdge } from '../support/running-edge.ts';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
let edge: RunningEdge;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await edge.close();
});

/** Sends a request and reads nothing of its answer. */
const callWithoutReading = (name: string): Socket => {
  const { headers, body } = modernRequest('tools/call', { name });
  const lines = Object.entries({ host: `127.0.0.1:${edge.port}`, ...headers, 'content-length': String(body.length) });
  const socket = connect(edge.port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined).pause();
  socket.write(`POST /mcp/echo HTTP/1.1\r\n${lines.map(([key, value]) => `${key}: ${value}\r\n`).join('')}\r\n${body}`);
  return socket;
};

const message = (bytes: number) => ({ method: 'notifications/message', params: { level: 'info', data: 'x'.repeat(bytes) } });

/** Says how much was taken from a writer that waits each time for its reader. */
const floods = () => {
  const sent = { bytes: 0 };
  return {
    sent,
    flood: async ({ notify, signal }: ClientRequest): Promise<Reply> => {
      while (!signal.aborted && sent.bytes < 64 * mebibyte) {
        await notify(message(16 * kibibyte));
        sent.bytes += 16 * kibibyte;
      }
      return { kind: 'result', result: {} };
    },
  };
};

describe('a reader that stops', () => {
  test('pauses whoever writes, and loses its connection in the end; the request behind is aborted', async () => {
    const { sent, flood } = floods();
    edge = await startRunningEdge({ handle: flood, timing: { stallMs: 400 } });
    callWithoutReading('flood');
    const request = await pollUntil(() => edge.requests[0], 'the request');
    let before = -1;
    await pollUntil(() => {
      const isPaused = sent.bytes > 0 && sent.bytes === before;
      before = sent.bytes;
      return isPaused || undefined;
    }, 'the pause');
    // what the kernel holds for both sides of a loopback connection is several MiB
    expect(sent.bytes).toBeLessThan(16 * mebibyte);
    expect(request.signal.aborted).toBe(false);
    await pollUntil(() => request.signal.aborted || undefined, 'the cut');
    expect(sent.bytes).toBeLessThan(16 * mebibyte);
  });

  test('does not slow the others', async () => {
    const { flood } = floods();
    edge = await startRunningEdge({
      handle: (request) => (request.params.name === 'flood' ? flood(request) : Promise.resolve({ kind: 'result', result: {} })),
    });
    for (let count = 0; count < 5; count += 1) callWithoutReading('flood');
    await pollUntil(() => edge.requests.length === 5 || undefined, 'the requests');
    await delay(100);
    const startedAt = performance.now();
    for (let count = 0; count < 50; count += 1) await (await edge.post('tools/call', { name: 'quick' })).text();
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  test('has at most 1 MiB waiting for it, even when the writer does not wait', async () => {
    const isCut = Promise.withResolvers<number>();
    edge = await startRunningEdge({
      handle: async ({ notify, signal }) => {
        let count = 0;
        for (; count < 4000 && !signal.aborted; count += 1) {
          void notify(message(16 * kibibyte));
          if (count % 16 === 0) await delay(1);
        }
        isCut.resolve(count);
        return { kind: 'result', result: {} };
      },
    });
    callWithoutReading('flood');
    // cut by what waits, far before the 30 s
    expect(await isCut.promise).toBeLessThan(4000);
  });

  test('of a large JSON answer loses its connection too', async () => {
    edge = await startRunningEdge({
      timing: { stallMs: 200 },
      handle: async () => ({ kind: 'result', result: { text: 'x'.repeat(32 * mebibyte) } }),
    });
    const socket = callWithoutReading('large');
    await pollUntil(() => edge.requests[0], 'the request');
    await delay(600);
    const ended = new Promise((resolve) => socket.once('close', resolve));
    let read = 0;
    socket.on('data', (chunk) => {
      read += chunk.length;
    });
    socket.resume();
    await ended;
    expect(read).toBeLessThan(32 * mebibyte);
  });
});

describe('a slow reader', () => {
  const text = 'größer, 世界, \u{1f40b}; '.repeat(80_000);

  test.each(['application/json', 'text/event-stream'])('gets a large answer (%s) whole', async (accept) => {
    edge = await startRunningEdge({ handle: async () => ({ kind: 'result', result: { text } }), timing: { stallMs: 2000 } });
    const answer = await edge.post('tools/call', { name: 'large' }, { headers: { accept } });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    const chunks: Uint8Array[] = [];
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      chunks.push(part.value);
      if (chunks.length % 8 === 0) await delay(5);
    }
    const received = Buffer.concat(chunks)
      .toString('utf8')
      .replace(/^event: message\ndata: /, '');
    expect(JSON.parse(received).result.text).toBe(text);
  });

  test('gets events in their order, also those around a large one that nobody waited for', async () => {
    edge = await startRunningEdge({
      handle: async ({ notify }) => {
        for (const bytes of [1, 400 * kibibyte, 2, 300 * kibibyte, 3]) void notify(message(bytes));
        return { kind: 'result', result: {} };
      },
    });
    const received = await (await edge.post('tools/call', { name: 'large' })).text();
    const sizes = [...received.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '').params?.data.length);
    expect(sizes).toEqual([1, 400 * kibibyte, 2, 300 * kibibyte, 3, undefined]);
  });
});
