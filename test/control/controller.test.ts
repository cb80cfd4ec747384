import pg from 'pg';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { startController } from '../../control/controller/start-controller.ts';
import { createSweep } from '../../control/controller/sweep.ts';
import { createApprovalSweep } from '../../control/controller/sweep-approvals.ts';
import { agentIdOf } from '../../schema/ids.ts';
import { getAgent, insertAgents } from '../../store/agents.ts';
import { getApproval } from '../../store/approvals.ts';
import { createContentStore } from '../../store/contents.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { findRun, insertRun, moveRun } from '../../store/runs.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { askFor, callToApprove, runOut } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { startTestDatabase } from '../support/postgres.ts';
import { recordingTemporal } from '../support/running-api.ts';

const tenancy = { org: 'default', project: 'default' };
const logger = pino({ level: 'silent' });
const snapshot = { fleet: { inputs: [], concurrency: 1, stages: [] }, roles: {}, models: {} };
let testDatabase: Awaited<ReturnType<typeof startTestDatabase>>;
let database: Database;
let temporal: ReturnType<typeof recordingTemporal>;
const open: { close(): Promise<void> }[] = [];
let count = 0;

beforeAll(async () => {
  testDatabase = await startTestDatabase();
  database = openDatabase({ url: testDatabase.url, name: 'test-controller' });
});
afterAll(async () => {
  await closeDatabase(database);
  await testDatabase.close();
});
beforeEach(async () => {
  temporal = recordingTemporal();
  await database.$client.query('delete from runs');
});
afterEach(async () => {
  for (const controller of open.splice(0)) await controller.close();
});

const makeRun = async (): Promise<string> => {
  count += 1;
  const id = `run_${String(count).padStart(16, '0')}`;
  const row = { ...tenancy, id, fleet: 'survey', snapshot, inputsDigest: 'none', volumes: [], outputDirectory: null };
  await insertRun(database, { ...row, quality: 'standard', startedBy: 'admin', launchDecisionId: 'dec' });
  return id;
};

/** The machine's time, moved on: rows are stamped by the database. */
const later = (seconds: number) => () => new Date(Date.now() + seconds * 1000);
const sweepAfter = (seconds: number) => createSweep({ database, temporal: temporal.port, clock: later(seconds), logger })();
const contentsIn = (over: Database) => createContentStore(over, deriveContentKeys(Buffer.alloc(32, 3).toString('base64'), 'content'));
const start = (over = database) => {
  const controller = startController({
    database: over,
    audit: openAuditLog(over),
    temporal: temporal.port,
    contents: contentsIn(over),
    ports: { of: () => undefined },
    digest: (text) => text,
    clock: later(60),
    intervalMs: 10,
    logger,
  });
  open.push(controller);
  return controller;
};

test('leaves a young run alone and repeats a start that was lost', async () => {
  const id = await makeRun();
  await sweepAfter(4);
  expect(temporal.starts).toEqual([]);
  await sweepAfter(6);
  await sweepAfter(6);
  expect(temporal.starts).toEqual([1, 2].map(() => ({ ...tenancy, fleet: 'survey', runId: id, attempt: 1 })));
});

test('does not touch runs that go on or have ended', async () => {
  for (const state of ['running', 'succeeded', 'partial', 'failed', 'cancelled'] as const)
    await moveRun(database, { ...tenancy, id: await makeRun() }, ['starting'], state);
  await sweepAfter(3600);
  expect([temporal.starts, temporal.cancellations]).toEqual([[], []]);
});

test('repeats a cancellation that was lost', async () => {
  const id = await makeRun();
  await moveRun(database, { ...tenancy, id }, ['starting'], 'cancelling');
  await sweepAfter(6);
  expect(temporal.cancellations).toEqual([{ ...tenancy, fleet: 'survey', runId: id }]);
  expect((await findRun(database, { ...tenancy, id }))?.state).toBe('cancelling');
});

test('ends a cancelled run and its agents when there is no workflow to do it', async () => {
  const id = await makeRun();
  const agentId = agentIdOf({ ...tenancy, fleet: 'survey', runId: id, stage: 'read', role: 'reader', ordinal: 0 });
  const limits = { steps: 1, calls: 1, tokens: 100, timeSeconds: 1 };
  const address = { ...tenancy, runId: id, stage: 'read', role: 'reader', ordinal: 0 };
  await insertAgents(database, [{ ...address, id: agentId, inputDigest: 'none', assignedPaths: [], limits }]);
  await moveRun(database, { ...tenancy, id }, ['starting'], 'cancelling', 'cancelled by admin');
  temporal.state.gone = true;
  await sweepAfter(6);
  expect(await findRun(database, { ...tenancy, id })).toMatchObject({ state: 'cancelled', reason: 'cancelled by admin' });
  expect((await getAgent(database, agentId)).state).toBe('cancelled');
});

test('goes on with the other runs when Temporal is away for one', async () => {
  await makeRun();
  await makeRun();
  temporal.state.away = true;
  await sweepAfter(6);
  expect(temporal.starts).toHaveLength(2);
});

test('sweeps by itself, and of two controllers one leads until it goes', async () => {
  const first = start();
  await makeRun();
  await vi.waitFor(() => expect(temporal.starts.length).toBeGreaterThan(0), { timeout: 10_000 });
  const others = recordingTemporal();
  const second = startController({
    database,
    audit: openAuditLog(database),
    temporal: others.port,
    contents: contentsIn(database),
    ports: { of: () => undefined },
    digest: (text) => text,
    clock: later(60),
    intervalMs: 10,
    logger,
  });
  open.push(second);
  const seen = temporal.starts.length;
  await vi.waitFor(() => expect(temporal.starts.length).toBeGreaterThan(seen + 5), { timeout: 10_000 });
  expect(others.starts).toEqual([]);
  await first.close();
  await vi.waitFor(() => expect(others.starts.length).toBeGreaterThan(0), { timeout: 10_000 });
});

test('survives the loss of every connection to the database', async () => {
  const own = openDatabase({ url: testDatabase.url, name: 'test-controller-lost' });
  const controller = start(own);
  await makeRun();
  await vi.waitFor(() => expect(temporal.starts.length).toBeGreaterThan(0), { timeout: 10_000 });
  const client = new pg.Client({ connectionString: testDatabase.url });
  await client.connect();
  await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'quarterdeck-test-controller-lost'`);
  await client.end();
  const seen = temporal.starts.length;
  await vi.waitFor(() => expect(temporal.starts.length).toBeGreaterThan(seen + 2), { timeout: 10_000 });
  await controller.close();
  await closeDatabase(own);
});

test('closes approvals whose time is over, and tells workflows of decisions whose signal was lost', async () => {
  const sweepApprovals = (seconds: number) =>
    createApprovalSweep({ database, audit: openAuditLog(database), tellAgent: temporal.port.tellAgent, clock: later(seconds), logger })();
  const agent = 'default/default/survey/run_1/read/reader/0';
  const { id } = await askFor(database, callToApprove({ agent }));
  await sweepApprovals(60);
  expect(temporal.told).toEqual([]);
  await runOut(database, id);
  temporal.state.away = true;
  await sweepApprovals(60);
  expect((await getApproval(database, { ...tenancy, id })).state).toBe('expired');
  temporal.state.away = false;
  await sweepApprovals(0);
  expect(temporal.told, 'the api has a moment to do it').toHaveLength(1);
  await sweepApprovals(60);
  await sweepApprovals(60);
  expect(temporal.told).toEqual([1, 2].map(() => ({ agent, approvalId: id })));
});
