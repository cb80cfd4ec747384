import { once } from 'node:events';
import { Agent, request as send } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Reply } from '../../gateway/mcp/message.ts';
import { pollUntil } from '../support/poll-until.ts';
import { modernRequest, type RunningEdge, startRunningEdge } from '../support/running-edge.ts';

const edges: RunningEdge[] = [];
const agents: Agent[] = [];
afterEach(async () => {
  for (const agent of agents.splice(0)) agent.destroy();
  await Promise.all(edges.splice(0).map((edge) => edge.close()));
});

const start = async (...options: Parameters<typeof startRunningEdge>): Promise<RunningEdge> => {
  const edge = await startRunningEdge(...options);
  edges.push(edge);
  return edge;
};
/** Stops it; what is stopped twice fails. */
const stop = (edge: RunningEdge): Promise<void> => edges.splice(edges.indexOf(edge), 1)[0]?.close() ?? Promise.resolve();

const done: Reply = { kind: 'result', result: {} };

/** One call over an agent's connections, as a client with a pool makes it. */
const call = async (agent: Agent, edge: RunningEdge): Promise<{ status: number; connection: string | undefined; text: string }> => {
  const { method, headers, body } = modernRequest('tools/call', { name: 'slow' });
  const sent = send(edge.url, { agent, method, headers: { ...headers, 'content-length': body.length } }).end(body);
  const [answer] = await once(sent, 'response');
  let text = '';
  for await (const chunk of answer) text += chunk;
  return { status: answer.statusCode, connection: answer.headers.connection, text };
};
const pooled = (): Agent => {
  const agent = new Agent({ keepAlive: true });
  agents.push(agent);
  return agent;
};

test('readiness goes off at once, calls are still taken for a while, and their connections are closed', async () => {
  const edge = await start({ handle: async () => done, drain: { noticeMs: 300 } });
  const ready = () => fetch(`${edge.publicUrl}/readyz`).then(({ status }) => status);
  expect(await ready()).toBe(200);
  const agent = pooled();
  expect((await call(agent, edge)).connection).toBe('keep-alive');
  const stopped = stop(edge);
  expect(await ready()).toBe(503);
  expect((await fetch(`${edge.publicUrl}/healthz`)).status).toBe(200);
  const late = await call(agent, edge);
  expect([late.status, late.connection]).toEqual([200, 'close']);
  await stopped;
  await expect(ready()).rejects.toThrow();
});

test('a running call ends with its answer, although nothing more is accepted', async () => {
  const answer = Promise.withResolvers<Reply>();
  const edge = await start({ handle: () => answer.promise });
  const agent = pooled();
  const running = call(agent, edge);
  await pollUntil(() => edge.requests[0], 'the call');
  const stopped = stop(edge);
  await pollUntil(
    () =>
      call(pooled(), edge).then(
        () => undefined,
        () => true,
      ),
    'the refusal',
  );
  answer.resolve(done);
  expect(await running).toMatchObject({ status: 200, connection: 'close' });
  await stopped;
});

test('a standing stream is ended gracefully, and keeps nothing open although its connection was to be kept', async () => {
  const ending = Promise.withResolvers<Reply>();
  const edge = await start({ handle: () => ending.promise, drain: { drainMs: 60_000 } });
  edge.surface.drain = async () => ending.resolve(done);
  const stream = await edge.post('subscriptions/listen');
  const startedAt = performance.now();
  const stopped = stop(edge);
  expect(await stream.text()).toContain('"resultType":"complete"');
  await stopped;
  expect(performance.now() - startedAt).toBeLessThan(3000);
});

test('what does not end is cut', async () => {
  const edge = await start({ handle: () => new Promise(() => undefined), drain: { drainMs: 100 } });
  const running = call(pooled(), edge).catch((error: Error) => error);
  await pollUntil(() => edge.requests[0], 'the call');
  await stop(edge);
  expect(await running).toBeInstanceOf(Error);
});

test('no call fails while replicas are replaced one by one behind a balancer that looks at readiness', async () => {
  const handle = async (): Promise<Reply> => {
    await delay(5);
    return done;
  };
  const replicas = [await start({ handle, drain: { noticeMs: 150 } }), await start({ handle, drain: { noticeMs: 150 } })];
  const ready = new Set(replicas);
  const look = async (): Promise<void> => {
    for (const replica of replicas) {
      const isReady = await fetch(`${replica.publicUrl}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isReady) ready.add(replica);
      else ready.delete(replica);
    }
  };
  let isOver = false;
  const balancer = (async () => {
    while (!isOver) {
      await look();
      await delay(10);
    }
  })();
  let calls = 0;
  const client = async (): Promise<void> => {
    const agent = pooled();
    while (!isOver) {
      const [replica] = [...ready].slice(calls % ready.size);
      if (!replica) throw new Error('no replica is ready');
      expect((await call(agent, replica)).status).toBe(200);
      calls += 1;
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, client));
  for (let round = 0; round < 3; round += 1) {
    await delay(100);
    const old = replicas[0] as RunningEdge;
    const next = await start({ handle, drain: { noticeMs: 150 } });
    replicas.push(next);
    await pollUntil(() => ready.has(next) || undefined, 'readiness');
    await stop(old);
    replicas.shift();
  }
  isOver = true;
  await clients;
  await balancer;
  expect(calls).toBeGreaterThan(50);
});
