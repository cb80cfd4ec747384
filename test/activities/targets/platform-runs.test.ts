import { randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'drizzle-orm';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createActivities, createGatewayClient, createRunTokens } from '../../../activities/index.ts';
import { fleetWorkflowId, shardWorkflowId } from '../../../schema/ids.ts';
import type { ProcessReport } from '../../../schema/process-report.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { taskQueues, workflowTypes } from '../../../schema/workflow-contract.ts';
import { findWorkingAgents, listAgents } from '../../../store/agents.ts';
import { followOrders } from '../../../store/follow-orders.ts';
import { putReport } from '../../../store/process-reports.ts';
import { getRun, type RunKey } from '../../../store/runs.ts';
import { type PlatformTargetPlace, platformTargetPlace } from '../../support/platform-target-place.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { ownTestNamespace } from '../../support/temporal.ts';
import { bundleWorkflows, startWorkers, type TestWorkers } from '../../workflows/workers.ts';
import { type Arrived, type FakeGateway, pretendedProofs, startFakeGateway } from '../fake-gateway.ts';
import { openRunFixture, type RunFixture, snapshotOf } from '../run-fixture.ts';
import { obedientModel, playSurvey } from '../scripted-survey.ts';

const files = ['/input/folder-0/file-0-0.ts', '/input/folder-1/file-1-5.ts', '/input/folder-2/file-2-9.ts'];
const prefix = `drift-${randomBytes(4).toString('hex')}-`;
const queues = { control: `${prefix}${taskQueues.control}`, model: `${prefix}${taskQueues.model}`, tool: `${prefix}${taskQueues.tool}` };
const logger = pino({ level: 'silent' });

let bundle: Awaited<ReturnType<typeof bundleWorkflows>>;
let fixture: RunFixture;
let fake: FakeGateway;
let workers: TestWorkers | undefined;
let connection: Connection;
let client: Client;
let server: { address: string; namespace: string };
let port: PlatformTargetPlace;
const state = { laterMs: 0, readersHang: true };

const begin = async (): Promise<void> => {
  const tokens = createRunTokens({ issuerUrl: fake.url, proofs: pretendedProofs });
  const gateway = createGatewayClient({ gatewayUrl: fake.url, tokens });
  workers = await startWorkers(
    bundle,
    (workflows) => createActivities({ ...fixture, gateway, workflows, logger, recheckMs: 60_000 }),
    prefix,
    { server },
  );
};

beforeAll(async () => {
  bundle = await bundleWorkflows();
  server = await ownTestNamespace(); // whoever's agents run elsewhere have no row here
  connection = await Connection.connect({ address: server.address });
  client = new Client({ connection, namespace: server.namespace });
});
afterAll(() => connection.close());
beforeEach(async () => {
  // a database of its own: the server with the workflows is everybody's
  fixture = await openRunFixture();
  fake = await startFakeGateway();
  playSurvey(fake, { files, outputDirectory: fixture.outputDirectory });
  Object.assign(state, { laterMs: 0, readersHang: true });
  fake.script.onModel = (call: Arrived) =>
    call.agentId.includes('/reader/') && state.readersHang ? { hangs: true } : obedientModel(call, files);
  port = platformTargetPlace(
    {
      ...{ database: fixture.database, temporal: client, queues },
      now: () => new Date(Date.now() + state.laterMs),
      patience: { agentMs: 60_000, drainMs: 3000, pollersMs: 90_000, orderMs: 20_000 },
    },
    ['runs'],
  );
});
afterEach(async () => {
  await workers?.close();
  workers = undefined;
  await fake.close();
  await fixture.close();
});

const idsOf = (key: RunKey) => {
  const fleet = fleetWorkflowId({ ...key, fleet: 'survey', runId: key.id });
  return { fleet, readers: shardWorkflowId(fleet, 'read', 0) };
};
const launch = async (): Promise<RunKey> => {
  const key = await fixture.launch(snapshotOf({ output: { file: 'survey.md' } }));
  await client.workflow.start(workflowTypes.fleet, {
    ...{ workflowId: idsOf(key).fleet, taskQueue: queues.control },
    args: [{ org: key.org, project: key.project, fleet: 'survey', runId: key.id, attempt: 1 }],
  });
  return key;
};
/** Waits until each reader is in the middle of its model's step. */
const readersAtWork = (key: RunKey) =>
  pollUntil(
    async () => {
      const asked = new Set(fake.seen.calls.flatMap(({ agentId, chat }) => (chat && agentId.includes('/reader/') ? [agentId] : [])));
      if (asked.size < files.length) return undefined;
      const readers = (await listAgents(fixture.database, key, 'read')).filter((agent) => agent.state === 'running');
      return readers.length === files.length ? readers : undefined;
    },
    'three readers at work',
    60_000,
  );

test('agents whose run lost its workflows are started again under their own ids, once each, and the run ends (A01)', async () => {
  await begin();
  const key = await launch();
  const readers = await readersAtWork(key);
  const { fleet, readers: shard } = idsOf(key);
  expect((await port.look()).drifts).toEqual([]);

  await client.workflow.getHandle(fleet).terminate('by hand');
  await client.workflow.getHandle(shard).terminate('by hand');
  expect((await port.look()).drifts).toEqual([]); // it may yet come back by itself
  state.laterMs = 120_000;
  await port.driftOf('AgentMissing');
  const { drifts } = await port.look();
  expect(drifts.map(({ object }) => object.name).sort()).toEqual(readers.map(({ id }) => id).sort());
  expect(drifts.every(({ kind, symptoms }) => kind === 'unhealthy' && symptoms[0]?.code === 'AgentMissing')).toBe(true);

  state.readersHang = false;
  const operations = drifts.map(({ object }): Operation => ({ op: 'startAgent', object }));
  expect(await port.dryRun(operations[0] as Operation)).toMatchObject({ ok: true, diff: [{ path: '/workflow', after: 'running' }] });
  // all of them at once, and each twice
  const contexts = await Promise.all(operations.map((operation) => port.contextFor(operation)));
  const outcomes = await Promise.all(
    [...operations, ...operations].map((operation, index) => port.apply(operation, contexts[index % operations.length])),
  );
  for (const outcome of outcomes) expect(['applied', 'unchanged']).toContain(outcome.kind);
  await pollUntil(async () => (await getRun(fixture.database, key)).state === 'succeeded' || undefined, 'the end of the run', 60_000);
  const ended = await listAgents(fixture.database, key, 'read');
  expect(ended.map((agent) => agent.state)).toEqual(['done', 'done', 'done']);
  expect((await port.look()).drifts).toEqual([]);
  // what has ended is not started, however old the plan is
  expect(await port.apply(operations[0] as Operation)).toMatchObject({ kind: 'failed', reason: 'precondition' });
}, 180_000);

test('agents that nothing declares are drained by their exact ids: a call ends, and who does not end is ended (A02)', async () => {
  await begin();
  const key = await launch();
  const [reader] = await readersAtWork(key);
  if (!reader) throw new Error('no reader');
  // its row has ended long ago, and it is in the middle of a call; the other has no row, and nobody works at its queue
  await fixture.database.execute(sql`update agents set state = 'cancelled', ended_at = now() - interval '1 hour' where id = ${reader.id}`);
  const stray = `default/default/survey/${key.id}/read/reader/77`;
  await client.workflow.start(workflowTypes.agent, { workflowId: stray, taskQueue: `${prefix}nobody`, args: [{ agentId: stray }] });
  const drift = await port.driftOf('AgentOrphaned', reader.id);
  await port.driftOf('AgentOrphaned', stray);
  expect((await port.look()).drifts.map(({ object }) => object.name).sort()).toEqual([reader.id, stray].sort());

  const drain: Operation = { op: 'drainAgent', object: drift.object };
  expect(await port.apply(drain)).toMatchObject({ kind: 'applied' });
  expect((await client.workflow.getHandle(reader.id).describe()).status.name).toBe('CANCELLED');
  expect(await port.apply({ op: 'drainAgent', object: { ...drift.object, name: stray } })).toMatchObject({ kind: 'applied' });
  expect((await client.workflow.getHandle(stray).describe()).status.name).toBe('TERMINATED');
  await port.without('AgentOrphaned');
  // one that is at work for its run is nobody's orphan, whoever says so
  const neighbour = (await listAgents(fixture.database, key, 'read')).find((agent) => agent.state === 'running');
  const wrong: Operation = { op: 'drainAgent', object: { ...drift.object, name: neighbour?.id ?? '' } };
  expect(await port.apply(wrong)).toMatchObject({ kind: 'failed', reason: 'precondition' });
  const foreign: Operation = { op: 'drainAgent', object: { ...drift.object, name: stray.replace('default/default', 'default/other') } };
  expect(await port.apply(foreign)).toMatchObject({ kind: 'failed', reason: 'invalid' });
  await client.workflow.getHandle(idsOf(key).fleet).cancel();
}, 180_000);

test('an agent that is suspended is given no token any more, keeps its transcript, and goes on when that is undone (A12)', async () => {
  await begin();
  const key = await launch();
  const [reader] = await readersAtWork(key);
  if (!reader) throw new Error('no reader');
  const object = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Agent', namespace: key.id, name: reader.id };
  const suspend: Operation = { op: 'suspendAgent', object };
  const context = await port.contextFor(suspend, { precondition: { kind: 'none' } });
  const outcome = await port.apply(suspend, context);
  expect(outcome).toMatchObject({ kind: 'applied' });
  expect(await port.apply(suspend, context)).toMatchObject({ kind: 'unchanged' });
  const [parked] = (await listAgents(fixture.database, key, 'read')).filter(({ id }) => id === reader.id);
  expect(parked).toMatchObject({
    state: 'parked',
    detail: expect.stringContaining(context.operationId),
    transcriptDigest: reader.transcriptDigest,
  });
  // what the issuer and the gateway ask before they believe a token
  expect(await findWorkingAgents(fixture.database, [reader.id])).toEqual(new Set());
  state.readersHang = false;
  expect(await port.undo({ op: 'restore', object, stateDigest: 'd' }, context, outcome)).toMatchObject({ kind: 'applied' });
  await pollUntil(
    async () => (await listAgents(fixture.database, key, 'read')).find(({ id }) => id === reader.id)?.state !== 'parked' || undefined,
    'the agent to go on',
  );
  await client.workflow.getHandle(idsOf(key).fleet).cancel();
}, 180_000);

test('queues that nobody works at are seen, and the workers are brought back by whoever supervises them (A03)', async () => {
  const workersPort = platformTargetPlace(
    { database: fixture.database, temporal: client, queues: { ...queues, control: `${prefix}never-control` }, patience: { orderMs: 5000 } },
    ['workers'],
  );
  const drift = await workersPort.driftOf('NoPollers', `${prefix}never-control`);
  expect(drift.object).toMatchObject({ kind: 'Worker' });

  // nobody supervises: the operation says so
  const restore: Operation = { op: 'restoreWorkers', object: drift.object };
  expect(await workersPort.apply(restore)).toMatchObject({ kind: 'failed', reason: 'refused' });

  const live = platformTargetPlace({ database: fixture.database, temporal: client, queues, patience: { orderMs: 60_000 } }, ['workers']);
  // workers that were killed: what they said last is old
  const report: ProcessReport = { process: 'worker', queues: Object.values(queues) };
  await putReport(fixture.database, { instance: 'worker/killed', report });
  await fixture.database.execute(sql`update process_reports set reported_at = now() - interval '1 minute'`);
  const dead = await live.driftOf('NoPollers');
  let starts = 0;
  const supervised = followOrders<Extract<ProcessReport, { process: 'control' }>>({
    database: fixture.database,
    instance: 'control/test',
    report: () => ({ process: 'control' }),
    carryOut: async () => {
      starts += 1;
      await begin();
      await putReport(fixture.database, { instance: 'worker/new', report });
    },
    logger,
  });
  try {
    const again: Operation = { op: 'restoreWorkers', object: dead.object };
    const context = await live.contextFor(again);
    const outcome = await pollUntil(async () => {
      const tried = await live.apply(again, context);
      return tried.kind === 'failed' ? undefined : tried;
    }, 'a supervisor');
    expect(outcome).toMatchObject({ kind: 'applied' });
    await live.apply(again, context);
    expect(starts).toBe(1);
    await live.without('NoPollers');
  } finally {
    await supervised.close();
  }
}, 120_000);
