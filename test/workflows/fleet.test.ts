import { randomBytes } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { runIdFrom, shardWorkflowId } from '../../schema/ids.ts';
import { workflowTypes } from '../../schema/workflow-contract.ts';
import { ended, failure, type MemoryRows, memoryRows } from './memory-rows.ts';
import { bundleWorkflows, startWorkers, type TestWorkers } from './workers.ts';

let bundle: Awaited<ReturnType<typeof bundleWorkflows>>;
let workers: TestWorkers;

beforeAll(async () => {
  bundle = await bundleWorkflows();
});
afterEach(() => workers.close());

/** Rows of a run of its own, and workers over them. */
const open = async (stages: Record<string, number>, options: { concurrency?: number; recheckMs?: number } = {}): Promise<MemoryRows> => {
  const rows = memoryRows(stages, { runId: runIdFrom(randomBytes(10)), ...options });
  workers = await startWorkers(bundle, rows.activities);
  return rows;
};

const start = ({ fleetId, org, project }: MemoryRows, attempt = 1): Promise<WorkflowHandle> =>
  workers.workflows.start(workflowTypes.fleet, {
    workflowId: fleetId,
    taskQueue: workers.taskQueue,
    args: [{ org, project, fleet: 'memory', runId: fleetId.split('/').at(-1), attempt }],
  });

const statusOf = async (workflowId: string): Promise<string> => (await workers.workflows.getHandle(workflowId).describe()).status.name;

test('runs stage after stage, with an empty one between them, and each agent once', async () => {
  const rows = await open({ scout: 1, none: 0, read: 5 });
  await (await start(rows)).result();
  expect(rows.statesOf()).toEqual(Array(6).fill('done'));
  expect(rows.seen.models).toHaveLength(6);
  expect(rows.seen.models[0]).toContain('/scout/');
  expect(rows.seen.verdicts).toEqual(['finished']);
});

test('fans out over shards of a hundred and keeps the limit across them', async () => {
  const rows = await open({ read: 130 }, { concurrency: 7 });
  rows.script.onModel = async () => {
    // the first ones wait for each other, so that the limit is reached
    if (rows.seen.models.length <= 7) await expect.poll(() => rows.seen.most, { timeout: 20_000, interval: 10 }).toBe(7);
    return ended('done');
  };
  await (await start(rows)).result();
  expect(rows.statesOf()).toEqual(Array(130).fill('done'));
  expect(rows.seen.models).toHaveLength(130);
  expect(rows.seen.most).toBe(7);
  expect(await statusOf(shardWorkflowId(rows.fleetId, 'read', 1))).toBe('COMPLETED');
});

test('goes on without a parked agent', async () => {
  const rows = await open({ read: 3, merge: 1 });
  rows.script.onModel = async ({ ordinal, stage }) =>
    stage === 'read' && ordinal === 1 ? ended('parked', 'answer_invalid') : ended('done');
  await (await start(rows)).result();
  expect(rows.statesOf()).toEqual(['done', 'parked', 'done', 'done']);
});

test('makes the calls of a step one after the other before the model is asked again', async () => {
  const rows = await open({ read: 1 });
  rows.script.onModel = async ({ steps }) =>
    steps === 1
      ? { kind: 'calls', transcriptDigest: 'left-2', calls: [0, 1].map((index) => ({ index, tool: 't', operationId: `op-${index}` })) }
      : ended('done');
  await (await start(rows)).result();
  expect(rows.seen.tools).toEqual(['0 left-2', '0 left-1']);
  expect(rows.seen.models).toHaveLength(2);
});

test('parks an agent whose call is given up, with the code of the last try', async () => {
  const rows = await open({ read: 2 });
  rows.script.onModel = async ({ ordinal }) => {
    if (ordinal === 0) throw failure('model_unavailable');
    return ended('done');
  };
  await (await start(rows)).result();
  expect(rows.statesOf()).toEqual(['parked', 'done']);
  expect(rows.seen.parks).toEqual([{ reason: 'model_failed', code: 'model_unavailable' }]);
});

test('cancels shards, agents and calls in flight, and then the run', async () => {
  const rows = await open({ read: 3 }, { concurrency: 2 });
  rows.script.onModel = () => rows.hang();
  const handle = await start(rows);
  await expect.poll(() => rows.seen.atWork, { timeout: 10_000 }).toBe(2);
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow('cancelled');
  expect(rows.seen).toMatchObject({ aborted: 2, verdicts: ['cancelled'] });
  expect(rows.statesOf()).toEqual(['cancelled', 'cancelled', 'cancelled']);
  await expect.poll(() => statusOf(shardWorkflowId(rows.fleetId, 'read', 0)), { timeout: 10_000 }).toBe('CANCELLED');
  expect(await statusOf([...rows.rows.keys()][0] ?? '')).toBe('CANCELLED');
});

test('finds by the rows what a lost signal did not tell', async () => {
  const rows = await open({ read: 2, merge: 1 }, { recheckMs: 300 });
  rows.script.tellFleet = `${rows.fleetId}/nobody`;
  await (await start(rows)).result();
  expect(rows.statesOf()).toEqual(['done', 'done', 'done']);
});

test('brings back a shard that vanished', async () => {
  const rows = await open({ read: 2 }, { recheckMs: 300 });
  let mayEnd = false;
  rows.script.onModel = async () => (mayEnd ? ended('done') : rows.hang());
  const handle = await start(rows);
  await expect.poll(() => rows.seen.atWork, { timeout: 10_000 }).toBe(2);
  mayEnd = true;
  await workers.workflows.getHandle(shardWorkflowId(rows.fleetId, 'read', 0)).terminate('gone');
  await handle.result();
  expect(rows.statesOf()).toEqual(['done', 'done']);
});

test('goes on where it was when the fleet is started again, without running anybody twice', async () => {
  const rows = await open({ scout: 1, read: 4 }, { concurrency: 2 });
  let mayEnd = false;
  rows.script.onModel = async ({ ordinal, stage }) => {
    if (stage === 'read' && ordinal > 0) await expect.poll(() => mayEnd, { timeout: 20_000 }).toBe(true);
    return ended('done');
  };
  const first = await start(rows);
  await expect.poll(() => rows.seen.atWork, { timeout: 10_000 }).toBe(2);
  await first.terminate('lost');
  const second = await start(rows);
  mayEnd = true;
  await second.result();
  expect(rows.statesOf()).toEqual(Array(5).fill('done'));
  expect(rows.seen.models).toHaveLength(5);
});

test('resumes a run with its parked agents alone', async () => {
  const rows = await open({ read: 3 });
  rows.script.onModel = async ({ ordinal, steps }) => (ordinal === 2 && steps === 1 ? ended('parked', 'limit_tokens') : ended('done'));
  await (await start(rows)).result();
  for (const row of rows.rows.values()) if (row.state === 'parked') row.state = 'pending';
  await (await start(rows, 2)).result();
  expect(rows.statesOf()).toEqual(['done', 'done', 'done']);
  expect(rows.seen.models).toHaveLength(4);
});

test('ends a run whose rows cannot be worked on as given up', async () => {
  const rows = memoryRows({ read: 1 }, { runId: runIdFrom(randomBytes(10)) });
  workers = await startWorkers(bundle, (workflows) => ({
    ...rows.activities(workflows),
    prepareStage: async () => {
      throw failure('content_missing');
    },
  }));
  await expect((await start(rows)).result()).rejects.toThrow();
  expect(rows.seen.verdicts).toEqual(['gave up: content_missing']);
});

test('continues a long conversation as new', async () => {
  const rows = await open({ read: 1 });
  // the server asks for it at 4 MB of history, or at 4,096 events
  rows.script.onModel = async ({ steps }) => (steps < 40 ? { kind: 'repair', transcriptDigest: 'x'.repeat(100_000) } : ended('done'));
  await (await start(rows)).result();
  expect(rows.seen.models).toHaveLength(40);
  const [agentId = ''] = rows.rows.keys();
  const { events } = await workers.workflows.getHandle(agentId).fetchHistory();
  expect(events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId).toMatch(/.{8}/);
});
