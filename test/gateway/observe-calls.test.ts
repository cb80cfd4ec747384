import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';
import { startTraceCollector } from '../support/trace-collector.ts';

let server: Awaited<ReturnType<typeof startCountingServer>>;
let place: RunningGateway;

beforeAll(async () => {
  server = await startCountingServer();
  place = await startRunningGateway();
  await place.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await place.ready('counting');
  await place.stop();
});
afterAll(async () => {
  await place.close();
  await server.close();
});

type Sent = { headers?: Record<string, string>; meta?: object };
const call = async (tool: string, args: object = {}, { headers = {}, meta }: Sent = {}): Promise<number> => {
  const response = await fetch(`${place.publicUrl}/mcp/counting`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${adminToken}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: tool, arguments: args, ...(meta ? { _meta: meta } : {}) },
    }),
  });
  await response.text();
  return response.status;
};
const traceparent = (digit: string, flags = '01') => `00-${digit.repeat(32)}-00000000000000ab-${flags}`;

describe('a trace', () => {
  let collector: Awaited<ReturnType<typeof startTraceCollector>>;
  beforeEach(async () => {
    collector = await startTraceCollector();
    return collector.close;
  });
  /** The gateway with a collector; what it has to say it has said when this is over. */
  const during = async (work: () => Promise<void>): Promise<void> => {
    const gateway = await startGatewayProcess(place.config, { tracing: { endpoint: collector.endpoint, headers: { 'x-key': 'k' } } });
    await place.ready('counting');
    await work().finally(gateway.close);
  };
  const backendSaw = (digit: string): string =>
    String(server.headersSeen.find((headers) => String(headers.traceparent).includes(digit.repeat(32)))?.traceparent);

  test('joins whoever asks, the gateway and the backend, begun in a header or in `_meta`', async () => {
    await during(async () => {
      await call('look', { path: '/planted-content' }, { headers: { traceparent: traceparent('a') } });
      await call('act', { path: '/planted-content' }, { meta: { traceparent: traceparent('b') } });
    });
    for (const [digit, tool] of [
      ['a', 'look'],
      ['b', 'act'],
    ] as const) {
      const spans = collector.spans.filter(({ traceId }) => traceId === digit.repeat(32));
      expect(spans).toEqual([
        expect.objectContaining({
          name: `tools/call ${tool}`,
          service: 'quarterdeck-gateway',
          kind: 2,
          parentSpanId: '00000000000000ab',
          attributes: expect.objectContaining({ 'mcp.method.name': 'tools/call', 'gen_ai.tool.name': tool, 'quarterdeck.outcome': 'ok' }),
        }),
      ]);
      expect(backendSaw(digit)).toBe(`00-${digit.repeat(32)}-${spans[0]?.spanId}-01`);
      expect(Number(spans[0]?.endTimeUnixNano)).toBeGreaterThanOrEqual(Number(spans[0]?.startTimeUnixNano));
    }
    expect(new Set(collector.keys)).toEqual(new Set(['k']));
    expect(collector.bodies.join('')).not.toMatch(/planted-content|admin/);
  });

  test('says how a call ended, and begins where nobody began one', async () => {
    await during(async () => {
      await call('nothing-of-that-name');
      await call('look', { path: '/a' }, { headers: { traceparent: 'garbage' } });
    });
    expect(collector.spans.find(({ name }) => name === 'tools/call nothing-of-that-name')).toMatchObject({
      status: { code: 2 },
      attributes: { 'error.type': 'tool_unknown', 'quarterdeck.outcome': 'refused' },
    });
    const begun = collector.spans.find(({ name }) => name === 'tools/call look');
    expect(begun?.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(begun?.parentSpanId ?? '').toBe('');
  });

  test('that is not to be kept is told on, and sent nowhere', async () => {
    await during(async () => {
      await call('look', { path: '/a' }, { headers: { traceparent: traceparent('c', '00') } });
    });
    expect(backendSaw('c')).toMatch(/-00$/);
    expect(collector.spans.filter(({ traceId }) => traceId === 'c'.repeat(32))).toEqual([]);
  });
});

test('a collector that is away costs no call', async () => {
  const gateway = await startGatewayProcess(place.config, { tracing: { endpoint: `http://127.0.0.1:${await freePort()}` } });
  await place.ready('counting');
  expect(await call('act', { path: '/away' }).finally(gateway.close)).toBe(200);
});

describe('metrics', () => {
  let gateway: Awaited<ReturnType<typeof startGatewayProcess>>;
  beforeAll(async () => {
    gateway = await startGatewayProcess(place.config);
    await place.ready('counting');
  });
  afterAll(() => gateway.close());
  const series = async (name: string): Promise<string[]> =>
    (await gateway.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`));
  const countOf = async (...labels: string[]): Promise<number> =>
    (await series('quarterdeck_calls_total'))
      .filter((line) => labels.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);

  test('count calls once each, by server, tool and end, and say how long they took', async () => {
    const before = await countOf('tool="act"', 'outcome="ok"');
    await call('look', { path: '/m' });
    await call('act', { path: '/m' });
    await call('act', { path: '/n' });
    expect(await countOf('tool="act"', 'outcome="ok"', 'server="counting"', 'project="default"', 'process="gateway"')).toBe(before + 2);
    const count = (await series('quarterdeck_call_duration_seconds_count')).find((line) => line.includes('server="counting"'));
    expect(Number(count?.split(' ').at(-1))).toBeGreaterThanOrEqual(3);
  });

  test('stay bounded whatever names callers make up', async () => {
    await call('made-up');
    const before = (await gateway.metrics()).split('\n').length;
    for (let index = 0; index < 200; index += 1) await call(`made-up-${index}`);
    expect((await gateway.metrics()).split('\n')).toHaveLength(before);
    expect(await countOf('code="tool_unknown"', 'tool=""')).toBeGreaterThanOrEqual(201);
  });

  test('say what the process uses', async () => {
    const text = await gateway.metrics();
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_utilization'])
      expect(text).toMatch(new RegExp(`^${name}\\{process="gateway"\\} [0-9.e+]+$`, 'm'));
  });
});
