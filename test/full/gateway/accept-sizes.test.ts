import { readFileSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGatewayProcess } from '../../support/gateway-process.ts';
import { discovered, type RawMcpServer, startRawMcpServer } from '../../support/raw-mcp-server.ts';
import { modernRequest } from '../../support/running-edge.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';

const mebibyte = 1024 * 1024;
const limit = 16 * mebibyte;
let gateway: RunningGateway;
let child: Awaited<ReturnType<typeof startGatewayProcess>>;
let server: RawMcpServer;
const sent = { bytes: 0, isAborted: false };
/** 200 MiB of nothing, a thousandth as long. */
const bomb = gzipSync(Buffer.alloc(200 * mebibyte, ' '));
const eventCount = 1_000_000;

/** A million messages before the answer. */
function* floodOf(id: unknown): Generator<string> {
  const event = `data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } })}\n\n`;
  const events = event.repeat(1000);
  for (let count = 0; count < eventCount; count += 1000) {
    sent.bytes += events.length;
    yield events;
  }
  yield `data: {"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"resultType":"complete","content":[]}}\n\n`;
}

const answerOf = (id: string, more: string): string =>
  `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete","content":[]${more}}}`;
/** Answers within the limit of bytes that would be many times as large once they are read, by how they are made. */
const crafted: Record<string, (id: string) => string> = {
  'lists within lists': (id) => answerOf(id, `,"structuredContent":{"a":${'['.repeat(4_000_000)}${']'.repeat(4_000_000)}}`),
  'small objects': (id) => answerOf(id, `,"structuredContent":{"a":[${'{},'.repeat(5_000_000)}{}]}`),
  'an event of short lines': (id) => `${'data: \n'.repeat(2_000_000)}data: ${answerOf(id, '')}\n\n`,
};

beforeAll(async () => {
  server = await startRawMcpServer({
    'server/discover': () => discovered(),
    'tools/list': () => ({
      result: {
        resultType: 'complete',
        tools: [{ name: 'look', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }],
        ttlMs: 0,
      },
    }),
    'tools/call': async ({ id, params }, { response }) => {
      const { mebibytes = 0, kind } = (params as { arguments: { mebibytes?: number; kind?: string } }).arguments;
      Object.assign(sent, { bytes: 0, isAborted: false });
      if (kind === 'bomb') {
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(bomb);
        return undefined;
      }
      const text = kind === undefined ? undefined : crafted[kind]?.(JSON.stringify(id));
      if (text !== undefined) {
        response.writeHead(200, { 'content-type': text.startsWith('{') ? 'application/json' : 'text/event-stream' }).end(text);
        return undefined;
      }
      if (kind === 'events') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        await pipeline(Readable.from(floodOf(id)), response).catch(() => {
          sent.isAborted = true;
        });
        return undefined;
      }
      const parts = function* () {
        yield `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"resultType":"complete","content":[{"type":"text","text":"`;
        for (let count = 0; count < mebibytes; count += 1) {
          sent.bytes += mebibyte;
          yield 'x'.repeat(mebibyte);
        }
        yield '"}]}}';
      };
      response.writeHead(200, { 'content-type': 'application/json' });
      await pipeline(Readable.from(parts()), response).catch(() => {
        sent.isAborted = true;
      });
      return undefined;
    },
  });
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'raw' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'raw' }, spec: { servers: [{ name: 'raw' }], naming: 'plain' } },
  );
  await gateway.ready('raw');
  await gateway.stop();
  child = await startGatewayProcess(gateway.config);
  await gateway.ready('raw');
});
afterAll(async () => {
  await child.kill();
  await gateway.close();
  await server.close();
});

const callWith = async (given: object): Promise<string> => {
  const request = modernRequest('tools/call', { name: 'look', arguments: given }, { headers: { authorization: `Bearer ${adminToken}` } });
  return (await fetch(`${gateway.publicUrl}/mcp/raw`, request)).text();
};
const call = (mebibytes: number): Promise<string> => callWith({ mebibytes });
const memory = (field: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024;

test.runIf(process.platform === 'linux')(
  'a result over 16 MiB is a tool error that names the limit, its server is cut off, and the gateway holds at most twice the limit',
  async () => {
    for (let warm = 0; warm < 3; warm += 1) await call(1);
    const before = memory('VmRSS');
    writeFileSync(`/proc/${child.pid}/clear_refs`, '5'); // the highest mark starts anew
    const answer = JSON.parse(await call(1024)) as { result: { isError: boolean; content: { text: string }[] } };
    expect(answer.result.isError).toBe(true);
    expect(answer.result.content[0]?.text).toContain(`limit of ${limit} bytes`);
    expect(sent.isAborted).toBe(true);
    expect(sent.bytes).toBeLessThan(60 * mebibyte);
    expect(memory('VmHWM') - before).toBeLessThanOrEqual(2 * limit);
  },
);

/** How much more the gateway held than before, at most. */
const heldDuring = async (work: () => Promise<void>): Promise<number> => {
  const before = memory('VmRSS');
  writeFileSync(`/proc/${child.pid}/clear_refs`, '5');
  await work();
  return memory('VmHWM') - before;
};

test.runIf(process.platform === 'linux')('a compressed result that would be a thousand times as large is never unpacked', async () => {
  const held = await heldDuring(async () => {
    const answer = JSON.parse(await callWith({ kind: 'bomb' })) as { error?: { message: string }; result?: { isError?: boolean } };
    expect(answer.error ?? answer.result?.isError).toBeTruthy();
  });
  expect(held).toBeLessThan(4 * limit);
  expect(await call(1)).toContain('xxx');
});

test.runIf(process.platform === 'linux')(
  'a million events before an answer are not held, whether they are cut off or passed by',
  async () => {
    const held = await heldDuring(async () => {
      expect(JSON.parse((await callWith({ kind: 'events' })).split('data: ').at(-1) ?? '')).toMatchObject({ jsonrpc: '2.0' });
    });
    expect(held).toBeLessThan(4 * limit);
    expect(await call(1)).toContain('xxx');
  },
);

test.runIf(process.platform === 'linux').each(Object.keys(crafted))('%s that would be many times as large are not read', async (kind) => {
  for (let warm = 0; warm < 3; warm += 1) await call(1);
  const held = await heldDuring(async () => {
    const answer = JSON.parse((await callWith({ kind })).split('data: ').at(-1) ?? '') as {
      result: { isError: boolean; content: { text: string }[] };
    };
    expect(answer.result).toMatchObject({ isError: true, content: [{ text: expect.stringContaining('objects and lists; ask for less') }] });
  });
  expect(held).toBeLessThan(4 * limit);
  expect(await call(1)).toContain('xxx');
});
