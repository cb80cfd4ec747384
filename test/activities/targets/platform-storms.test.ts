import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startToolServer, type ToolServer } from '../../../bench/reconcile/platform-cases/tool-server.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { endAgent } from '../../../store/agents.ts';
import { forgetOldHolds, listRateHolds } from '../../../store/rate-holds.ts';
import { type PlatformTargetPlace, platformTargetPlace } from '../../support/platform-target-place.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';
import { ownTestNamespace } from '../../support/temporal.ts';

let backend: ToolServer;
let gateway: RunningGateway;
let connection: Connection;
let port: PlatformTargetPlace;
const place = { org: 'default', project: 'default' };

beforeAll(async () => {
  backend = await startToolServer([{ name: 'look', description: 'Looks' }]);
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'desk' }, spec: { url: backend.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'desk' }, spec: { servers: [{ name: 'desk' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'desk' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['desk'] } },
  );
  await gateway.ready('desk');
  const { address, namespace } = await ownTestNamespace();
  connection = await Connection.connect({ address });
  const temporal = new Client({ connection, namespace });
  port = platformTargetPlace({ database: gateway.database, temporal, patience: { agentMs: 3_600_000 } }, ['servers', 'runs']);
});
afterAll(async () => {
  await connection.close();
  await gateway.close();
  backend.close();
});

type Answer = { result?: object; error?: { data: { code: string; retryAfterSeconds?: number }; message: string } };
const call = async (token: string): Promise<Answer> => {
  const response = await fetch(`${gateway.publicUrl}/mcp/default/default/desk`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'look', arguments: {} } }),
  });
  const text = await response.text();
  return JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}'));
};
const calls = (token: string, count: number): Promise<Answer[]> => Promise.all(Array.from({ length: count }, () => call(token)));
const startAgent = async () => {
  const { id } = await gateway.addAgent({ limits: { calls: 1000 } });
  return { id, token: await gateway.mint(id, `${gateway.publicUrl}/mcp/default/default/desk`) };
};
const codesOf = (answers: readonly Answer[]): string[] => answers.map(({ error }) => error?.data.code ?? 'ok');

/** Other test files leave workflows of their own at the Temporal server that all share. */
const storms = async () => (await port.look()).drifts.filter(({ symptoms }) => symptoms.every(({ code }) => code !== 'AgentOrphaned'));

test('an agent whose calls a server refuses with 429 again and again is a drift, is held to less at once, and let go exactly (G10)', async () => {
  const [storming, neighbour] = [await startAgent(), await startAgent()];
  backend.state.mostPerSecond = 1;
  const answers = await calls(storming.token, 40);
  const refused = answers.filter(({ error }) => error?.data.code === 'server_unavailable');
  expect(refused.length).toBeGreaterThanOrEqual(10);
  expect(refused[0]?.error?.message).toContain('asked too often (HTTP 429); try again in 1 s');
  // no call was made twice: that would have doubled the storm
  expect(backend.calls.length + backend.counts.throttled).toBe(40);

  const drift = await port.driftOf('CallerStorm');
  expect(drift).toMatchObject({ kind: 'unhealthy', object: { kind: 'Agent', name: storming.id } });
  expect(drift.symptoms[0]?.message).toMatch(/^The server desk refused \d+ of its calls within 30 s .* answered \d+ of its calls\.$/);
  // the way to the server is as it should be, and nobody else is told off
  expect(await storms()).toHaveLength(1);

  const operation: Operation = { op: 'limitRate', object: drift.object, callsPerMinute: 12 };
  expect(await port.dryRun(operation)).toEqual({ ok: true, diff: [{ path: '/callsPerMinute', after: 12 }] });
  const context = await port.contextFor(operation);
  const before = (await port.look()).observation.objects.find(({ ref }) => ref.name === storming.id);
  const outcome = await port.apply(operation, context);
  expect(outcome).toMatchObject({ kind: 'applied' });

  // in force with the answer: two calls in ten seconds, or twice that where a window ends meanwhile
  backend.state.mostPerSecond = 1000;
  const reached = backend.calls.length;
  const limited = await calls(storming.token, 20);
  expect(backend.calls.length - reached).toBeLessThanOrEqual(4);
  expect(codesOf(limited).filter((code) => code === 'rate_exhausted').length).toBeGreaterThanOrEqual(16);
  const told = limited.find(({ error }) => error)?.error;
  expect(told?.message).toContain('held back by the reconciler');
  expect(told?.data.retryAfterSeconds).toBeLessThanOrEqual(10);
  expect(codesOf(await calls(neighbour.token, 20))).toEqual(Array.from({ length: 20 }, () => 'ok'));
  expect(await storms()).toEqual([]);
  expect((await port.look()).observation.objects.find(({ ref }) => ref.name === storming.id)?.state).toMatchObject({ callsPerMinute: 12 });

  // the same again is the same, and a fix never makes it more
  expect(await port.apply(operation, context)).toMatchObject({ kind: 'applied' });
  expect(await listRateHolds(gateway.database, place)).toHaveLength(1);
  expect(await port.apply({ ...operation, callsPerMinute: 1000 })).toMatchObject({ kind: 'failed', reason: 'invalid' });

  const restored = { ...context, readState: async () => before?.state };
  const undone = await port.undo({ op: 'restore', object: drift.object, stateDigest: 'd' }, restored, outcome);
  expect(undone).toMatchObject({ kind: 'applied' });
  expect(await listRateHolds(gateway.database, place)).toEqual([]);
  expect(codesOf(await calls(storming.token, 20))).toEqual(Array.from({ length: 20 }, () => 'ok'));
});

test('a limit that another one stood under goes back to that one', async () => {
  const agent = await startAgent();
  const object = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Agent', namespace: agent.id.split('/')[3] ?? '', name: agent.id };
  const first: Operation = { op: 'limitRate', object, callsPerMinute: 60 };
  await port.apply(first, await port.contextFor(first));
  const lower: Operation = { op: 'limitRate', object, callsPerMinute: 6 };
  const context = await port.contextFor(lower);
  const outcome = await port.apply(lower, context);
  expect(await listRateHolds(gateway.database, place)).toMatchObject([{ callsPerMinute: 6 }]);
  expect(await port.undo({ op: 'restore', object, stateDigest: 'd' }, context, outcome)).toMatchObject({ kind: 'applied' });
  expect(await listRateHolds(gateway.database, place)).toMatchObject([{ callsPerMinute: 60 }]);
  // somebody else's change meanwhile is kept: the undo fails, visibly
  await port.apply({ ...lower, callsPerMinute: 30 });
  expect(await port.undo({ op: 'restore', object, stateDigest: 'd' }, context, outcome)).toMatchObject({
    kind: 'failed',
    reason: 'precondition',
  });
  // what an agent was held to goes with it
  await endAgent(gateway.database, agent.id, { state: 'cancelled' });
  await gateway.database.execute(`update rate_holds set held_at = now() - interval '2 minutes'`);
  expect(await forgetOldHolds(gateway.database)).toBe(1);
});

test('a storm of people is of the server, which is held to less for all; a declared rate that is lower stays in force', async () => {
  backend.state.mostPerSecond = 1;
  await calls(adminToken, 40);
  const drift = await port.driftOf('BackendThrottled');
  expect(drift.object).toMatchObject({ kind: 'McpServer', name: 'desk' });
  expect(JSON.stringify((await port.look()).observation)).not.toContain('admin');
  const operation: Operation = { op: 'limitRate', object: drift.object, callsPerMinute: 30 };
  const context = await port.contextFor(operation);
  const outcome = await port.apply(operation, context);
  expect(outcome).toMatchObject({ kind: 'applied' });
  await port.without('BackendThrottled');
  const agent = await startAgent();
  const [reached] = [backend.calls.length + backend.counts.throttled];
  await Promise.all([calls(adminToken, 20), calls(agent.token, 20)]);
  // five in ten seconds, of all callers together
  expect(backend.calls.length + backend.counts.throttled - reached).toBeLessThanOrEqual(10);
  expect(await port.undo({ op: 'restore', object: drift.object, stateDigest: 'd' }, context, outcome)).toMatchObject({ kind: 'applied' });
  expect(await listRateHolds(gateway.database, place)).toEqual([]);

  backend.state.mostPerSecond = 1000;
  await gateway.apply({
    kind: 'McpServer',
    metadata: { name: 'desk' },
    spec: { url: backend.url, timeoutSeconds: 5, rates: [{ calls: 2, perSeconds: 3600 }] },
  });
  await gateway.ready('desk');
  const wide: Operation = { op: 'limitRate', object: drift.object, callsPerMinute: 1_000_000 };
  await port.apply(wide, await port.contextFor(wide, { precondition: { kind: 'none' } }));
  expect(codesOf(await calls(adminToken, 10)).filter((code) => code === 'ok').length).toBeLessThanOrEqual(2);
});
