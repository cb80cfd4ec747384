import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createTemporalPort } from '../../control/api/temporal-port.ts';
import { runIdFrom } from '../../schema/ids.ts';
import { haltLifted, workflowTypes } from '../../schema/workflow-contract.ts';
import { startTestTemporal } from '../support/temporal.ts';
import { ended, memoryRows } from './memory-rows.ts';
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

test('an agent that is halted at its model step or its call waits there, and goes on from there when it is told', async () => {
  const rows = memoryRows({ read: 1 }, { runId: runIdFrom(randomBytes(10)) });
  const halted = { kind: 'waits' as const, approvalId: haltLifted, waitMs: 600_000 };
  const asked = { model: 0, tool: 0 };
  const state = { isHalted: true, hasCalled: false };
  rows.script.onModel = async () => {
    asked.model += 1;
    if (state.isHalted) return halted;
    if (state.hasCalled) return ended('done');
    Object.assign(state, { hasCalled: true, isHalted: true });
    return { kind: 'calls', transcriptDigest: 'left-1', calls: [{ index: 0, tool: 't', operationId: 'op-0' }] };
  };
  rows.script.onTool = async () => {
    asked.tool += 1;
    return state.isHalted ? halted : undefined;
  };
  workers = await startWorkers(bundle, rows.activities);
  const { fleetId, org, project } = rows;
  const handle = await workers.workflows.start(workflowTypes.fleet, {
    workflowId: fleetId,
    taskQueue: workers.taskQueue,
    args: [{ org, project, fleet: 'memory', runId: fleetId.split('/').at(-1), attempt: 1 }],
  });
  const tell = () => temporal.tellAgent({ agent: [...rows.rows.keys()][0] ?? '', approvalId: haltLifted });

  await expect.poll(() => asked.model, { timeout: 15_000 }).toBe(1);
  await tell();
  await expect.poll(() => asked.model, { timeout: 15_000 }).toBe(2);
  state.isHalted = false;
  await tell();
  await expect.poll(() => asked.tool, { timeout: 15_000 }).toBe(1);
  state.isHalted = false;
  await tell();
  await handle.result();
  expect(rows.statesOf()).toEqual(['done']);
  expect(asked.tool).toBe(2);
});
