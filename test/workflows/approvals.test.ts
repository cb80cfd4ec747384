import { randomBytes } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createTemporalPort } from '../../control/api/temporal-port.ts';
import { runIdFrom } from '../../schema/ids.ts';
import { workflowTypes } from '../../schema/workflow-contract.ts';
import { startTestTemporal } from '../support/temporal.ts';
import { ended, type MemoryRows, memoryRows } from './memory-rows.ts';
import { bundleWorkflows, startWorkers, type TestWorkers } from './workers.ts';

let bundle: Awaited<ReturnType<typeof bundleWorkflows>>;
let workers: TestWorkers;
let temporal: ReturnType<typeof createTemporalPort>;

beforeAll(async () => {
  bundle = await bundleWorkflows();
  const { address, namespace } = await startTestTemporal();
  temporal = createTemporalPort({ address, namespace });
});
afterAll(() => temporal.close());
afterEach(() => workers.close());

const approvalId = 'apr_0000000000000001';

/** One agent, whose model asks for a call that needs a person until `answered` is set. */
const open = async ({ waitMs = 600_000, beforeWait = async () => undefined as unknown } = {}) => {
  const rows = memoryRows({ read: 1 }, { runId: runIdFrom(randomBytes(10)) });
  const state = { answered: false, asked: 0, beforeWait };
  rows.script.onModel = async ({ steps }) =>
    steps === 1 ? { kind: 'calls', transcriptDigest: 'left-1', calls: [{ index: 0, tool: 't', operationId: 'op-0' }] } : ended('done');
  rows.script.onTool = async ({ id }) => {
    state.asked += 1;
    if (state.answered) return undefined;
    await state.beforeWait();
    return { kind: 'waits', approvalId, waitMs: id === '' ? 0 : waitMs };
  };
  workers = await startWorkers(bundle, rows.activities);
  return { rows, state };
};
const start = ({ fleetId, org, project }: MemoryRows): Promise<WorkflowHandle> =>
  workers.workflows.start(workflowTypes.fleet, {
    workflowId: fleetId,
    taskQueue: workers.taskQueue,
    args: [{ org, project, fleet: 'memory', runId: fleetId.split('/').at(-1), attempt: 1 }],
  });
const agentOf = ({ rows }: MemoryRows): string => [...rows.keys()][0] ?? '';
const tell = (rows: MemoryRows, id = approvalId) => temporal.tellAgent({ agent: agentOf(rows), approvalId: id });
const asked = (state: { asked: number }, times: number) => expect.poll(() => state.asked, { timeout: 15_000 }).toBe(times);

test('an agent waits until its approval is decided, then makes the same call again', async () => {
  const { rows, state } = await open();
  const handle = await start(rows);
  await asked(state, 1);
  expect(await tell(rows, 'apr_0000000000000002'), 'of another approval').toBe('told');
  state.answered = true;
  expect(await tell(rows)).toBe('told');
  await handle.result();
  expect(rows.statesOf()).toEqual(['done']);
  expect(rows.seen.tools).toEqual(['0 left-1', '0 left-1']);
});

test('a decision that comes before the agent waits is not lost', async () => {
  const { rows, state } = await open();
  state.beforeWait = async () => {
    await tell(rows);
    state.answered = true;
  };
  await (await start(rows)).result();
  expect(state.asked).toBe(2);
});

test('an agent that nobody tells asks again when the time of its approval is over', async () => {
  const { rows, state } = await open({ waitMs: 1000 });
  const handle = await start(rows);
  await asked(state, 1);
  state.answered = true;
  await handle.result();
  expect(rows.statesOf()).toEqual(['done']);
});

test('a decision that is told twice wakes once, and one that wakes for nothing lets the agent wait on', async () => {
  const { rows, state } = await open();
  const handle = await start(rows);
  await asked(state, 1);
  await tell(rows);
  await asked(state, 2);
  state.answered = true;
  await tell(rows);
  await tell(rows);
  await handle.result();
  expect(state.asked).toBe(3);
});

test('it works with every worker dead: the decision waits for them', async () => {
  const { rows, state } = await open();
  await start(rows);
  await asked(state, 1);
  const { prefix } = workers;
  await workers.close();
  state.answered = true;
  expect(await tell(rows)).toBe('told');
  workers = await startWorkers(bundle, rows.activities, prefix);
  await workers.workflows.getHandle(rows.fleetId).result();
  expect(rows.statesOf()).toEqual(['done']);
  expect(await tell(rows), 'nobody waits any more').toBe('gone');
});

test('an agent that waits can be cancelled', async () => {
  const { rows, state } = await open();
  const handle = await start(rows);
  await asked(state, 1);
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow('cancelled');
  expect(rows.statesOf()).toEqual(['cancelled']);
  expect(state.asked).toBe(1);
});
