import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pollUntil } from '../../support/poll-until.ts';
import { discovered, type RawMcpServer, startRawMcpServer } from '../../support/raw-mcp-server.ts';
import { modernRequest } from '../../support/running-edge.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';

const mebibyte = 1024 * 1024;
let gateway: RunningGateway;
let server: RawMcpServer;
const flooded = { bytes: 0 };

beforeAll(async () => {
  const tools = ['look', 'flood'].map((name) => ({ name, inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }));
  server = await startRawMcpServer({
    'server/discover': () => discovered(),
    'tools/list': () => ({ result: { resultType: 'complete', tools, ttlMs: 0 } }),
    'tools/call': async ({ params }, { response }) => {
      if (params?.name === 'look') return { result: { resultType: 'complete', content: [{ type: 'text', text: 'x'.repeat(16) }] } };
      const { progressToken } = (params as { _meta: { progressToken: unknown } })._meta;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let progress = 0; !response.destroyed && flooded.bytes < 512 * mebibyte; progress += 1) {
        const message = {
          jsonrpc: '2.0',
          method: 'notifications/progress',
          params: { progressToken, progress, message: 'x'.repeat(65_536) },
        };
        const text = `data: ${JSON.stringify(message)}\n\n`;
        flooded.bytes += text.length;
        // a server that minds its reader, as all do that do not want to run out of memory
        if (!response.write(text)) await new Promise((resolve) => response.once('drain', resolve));
      }
      return undefined;
    },
  });
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'raw' }, spec: { url: server.url, timeoutSeconds: 600, totalTimeoutSeconds: 600 } },
    { kind: 'Toolset', metadata: { name: 'raw' }, spec: { servers: [{ name: 'raw' }], naming: 'plain' } },
  );
  await gateway.ready('raw');
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

const requestOf = (name: string) =>
  modernRequest(
    'tools/call',
    { name, arguments: {} },
    { headers: { authorization: `Bearer ${adminToken}` }, meta: { progressToken: 'p' } },
  );
/** The 99th percentile of a round of calls, in milliseconds. */
const p99 = async (): Promise<number> => {
  const durations: number[] = [];
  for (let count = 0; count < 200; count += 1) {
    const startedAt = performance.now();
    await (await fetch(`${gateway.publicUrl}/mcp/raw`, requestOf('look'))).text();
    durations.push(performance.now() - startedAt);
  }
  return durations.sort((a, b) => a - b)[197] as number;
};
const bestOf = async (rounds: number): Promise<number> => {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) best = Math.min(best, await p99());
  return best;
};

test('a reader that stops pauses the server behind, loses its stream after 30 s, and slows nobody else', async () => {
  await p99();
  const before = await bestOf(6);
  const { headers, body } = requestOf('flood');
  const lines = { host: new URL(gateway.publicUrl).host, ...headers, 'content-length': String(Buffer.byteLength(body)) };
  const socket = connect(gateway.config.port, '127.0.0.1')
    .on('error', () => undefined)
    .pause();
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`POST /mcp/raw HTTP/1.1\r\n${head.join('')}\r\n${body}`);
  let last = -1;
  await pollUntil(async () => {
    const isPaused = flooded.bytes > 0 && flooded.bytes === last;
    last = flooded.bytes;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return isPaused || undefined;
  }, 'the server to be paused');
  const pausedAt = performance.now();
  // what the kernel holds of two loopback connections is several MiB each
  expect(flooded.bytes).toBeLessThan(24 * mebibyte);
  // other processes disturb a round as well: there is time for some more
  let meanwhile = await bestOf(3);
  while (meanwhile > before * 1.1 && performance.now() - pausedAt < 20_000) meanwhile = Math.min(meanwhile, await p99());
  expect(meanwhile).toBeLessThan(before * 1.1);
  expect(flooded.bytes).toBe(last);
  const row = await pollUntil(
    async () => (await gateway.audit()).find(({ kind, tool }) => kind === 'call' && tool === 'flood'),
    'the end of the call',
    40_000,
  );
  expect(row.outcome).not.toBe('ok');
  const afterMs = performance.now() - pausedAt;
  expect(afterMs).toBeGreaterThan(25_000);
  expect(afterMs).toBeLessThan(35_000);
  socket.destroy();
});
