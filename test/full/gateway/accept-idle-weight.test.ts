import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../../bench/gateway/free-port.ts';
import type { LoadResult } from '../../../bench/gateway/load-process.ts';
import { residentMegabytes } from '../../../bench/gateway/processes.ts';
import { callRequests, legacyHeaders, listenRequests } from '../../../bench/gateway/requests.ts';
import { type Child, startChild } from '../../../bench/gateway/start-child.ts';
import { startCountingServer } from '../../support/counting-server.ts';
import { startGatewayProcess } from '../../support/gateway-process.ts';
import { inspectedHeap } from '../../support/inspected-heap.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';

const count = 10_000;
const mostMegabytes = 600;
/** Longer than it takes until a stream without events gets its first comment. */
const quietSeconds = 20;
const path = '/mcp/counting';

let server: Awaited<ReturnType<typeof startCountingServer>>;
let place: RunningGateway;
let inspectPort: number;
let gateway: Awaited<ReturnType<typeof startGatewayProcess>>;
let clients: Child;

beforeAll(async () => {
  server = await startCountingServer();
  place = await startRunningGateway();
  await place.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await place.ready('counting');
  await place.stop();
  inspectPort = await freePort();
  gateway = await startGatewayProcess(place.config, { execArgv: [`--inspect=127.0.0.1:${inspectPort}`] });
  await place.ready('counting');
  clients = startChild('./load-process.ts');
});
afterAll(async () => {
  await clients.close();
  await gateway.close();
  await place.close();
  await server.close();
});

const call = async (seconds: number): Promise<LoadResult> =>
  clients.ask<LoadResult>('run', {
    routes: [{ port: place.config.port, requests: callRequests(place.config.port, path, ['look'], adminToken) }],
    connections: 8,
    seconds,
    expectedBytes: 16,
  });
const begin = async (each: number): Promise<[sessions: number, streams: number]> => {
  const { port } = place.config;
  const sessions = await clients.ask<number>('openSessions', {
    url: `${place.publicUrl}${path}`,
    headers: legacyHeaders(adminToken),
    count: each,
  });
  const streams = await clients.ask<number>('openStreams', { port, requests: listenRequests(port, path, adminToken), count: each });
  return [sessions, streams];
};
const end = async (): Promise<number> => {
  await clients.ask('closeStreams');
  await pollUntil(async () => (await clients.ask<number>('countStreams')) === 0 || undefined, 'the streams to be closed');
  return clients.ask<number>('endSessions', { url: `${place.publicUrl}${path}`, headers: legacyHeaders(adminToken) });
};

test('10,000 idle sessions and 10,000 listen streams weigh at most 600 MB, and the heap is back within a tenth when they have ended', {
  timeout: 300_000,
}, async () => {
  // what is made once (code, caches) is there before anything is compared
  await call(3);
  await begin(500);
  expect(await end()).toBe(500);
  await call(3);
  const heapBefore = await inspectedHeap(inspectPort);

  expect(await begin(count)).toEqual([count, count]);
  const calls = await call(quietSeconds);
  const megabytes = residentMegabytes(gateway.pid);
  const heapWith = await inspectedHeap(inspectPort);
  expect(calls).toMatchObject({ errors: 0 });
  expect(await clients.ask('countStreams')).toBe(count);

  expect(await end()).toBe(count);
  await call(3);
  const heapAfter = await inspectedHeap(inspectPort);
  const mebibytes = [heapBefore, heapWith, heapAfter].map((bytes) => (bytes / 1024 / 1024).toFixed(1));
  console.log(`${Math.round(megabytes)} MB resident; heap ${mebibytes.join(', then ')} MiB`);
  expect(megabytes).toBeLessThanOrEqual(mostMegabytes);
  expect(heapAfter).toBeLessThanOrEqual(heapBefore * 1.1);
});
