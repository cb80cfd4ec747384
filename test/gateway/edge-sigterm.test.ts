import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { pollUntil } from '../support/poll-until.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
const running: Awaited<ReturnType<typeof startGatewayProcess>>[] = [];

beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await gateway.ready('counting');
});
afterAll(async () => {
  await Promise.all(running.map((replica) => replica.kill()));
  await gateway.close();
  await server.close();
});

/** A replica of the gateway: a process of its own on the same database. */
const startReplica = async () => {
  const port = await freePort();
  const publicUrl = `http://127.0.0.1:${port}`;
  const replica = await startGatewayProcess({ ...gateway.config, port, publicUrl, drain: { noticeMs: 300, longestMs: 4000 } });
  running.push(replica);
  return { publicUrl, stop: replica.close };
};
const post = (publicUrl: string, method: string, params: Record<string, unknown>) =>
  fetch(`${publicUrl}/mcp/counting`, modernRequest(method, params, { headers: { authorization: `Bearer ${adminToken}` } }));
const isReady = (publicUrl: string): Promise<boolean> =>
  fetch(`${publicUrl}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );

test('SIGTERM turns readiness off, lets a running call end, ends a stream gracefully, and ends the process', async () => {
  const replica = await startReplica();
  const held = Promise.withResolvers<void>();
  server.state.before = () => held.promise;
  const before = server.countOf('act');
  const call = post(replica.publicUrl, 'tools/call', { name: 'act', arguments: {} });
  await pollUntil(() => server.countOf('act') > before || undefined, 'the call');
  const stream = await post(replica.publicUrl, 'subscriptions/listen', { notifications: { toolsListChanged: true } });
  const stopped = replica.stop();
  await pollUntil(async () => !(await isReady(replica.publicUrl)) || undefined, 'readiness to go off');
  expect(await stream.text()).toContain('"resultType":"complete"');
  held.resolve();
  server.state.before = async () => undefined;
  const answer = await call;
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('of act');
  await stopped;
  expect(await isReady(replica.publicUrl)).toBe(false);
});

test('replicas are replaced one by one under load, and no call fails', { timeout: 120_000 }, async () => {
  const ready = new Set([await startReplica(), await startReplica()]);
  const replicas = [...ready];
  let isOver = false;
  const look = async (): Promise<void> => {
    while (!isOver) {
      for (const replica of replicas)
        if (await isReady(replica.publicUrl)) ready.add(replica);
        else ready.delete(replica);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const balancer = look();
  const outcomes = { ok: 0, failed: [] as unknown[] };
  const client = async (number: number): Promise<void> => {
    while (!isOver && outcomes.failed.length === 0) {
      const replica = [...ready][(number + outcomes.ok) % ready.size];
      if (!replica) throw new Error('no replica is ready');
      const answer = await post(replica.publicUrl, 'tools/call', { name: number % 2 ? 'look' : 'act', arguments: {} })
        .then(async (response) => ({ status: response.status, text: await response.text() }))
        .catch((error: unknown) => ({ status: 0, text: String(error) }));
      if (answer.status === 200 && answer.text.includes('"content"')) outcomes.ok += 1;
      else outcomes.failed.push(answer);
    }
  };
  const clients = Promise.all(Array.from({ length: 6 }, (_, number) => client(number)));
  for (const old of [...replicas]) {
    if (outcomes.failed.length > 0) break;
    const next = await startReplica();
    replicas.push(next);
    await pollUntil(() => ready.has(next) || undefined, 'readiness');
    await old.stop();
    replicas.splice(replicas.indexOf(old), 1);
    ready.delete(old);
  }
  isOver = true;
  await Promise.all([clients, balancer]);
  expect(outcomes.failed).toEqual([]);
  expect(outcomes.ok).toBeGreaterThan(20);
});
