import { readdirSync } from 'node:fs';
import { Worker } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import { bundleWorkflows } from '../workflows/workers.ts';
import { readHistory } from './read-history.ts';

/**
 * Histories as `temporal workflow show --workflow-id ID --output json` prints them. A workflow change that is guarded by `patched` adds
 * a file; none is replaced while runs of its kind may be open somewhere.
 */
const folder = new URL('histories/', import.meta.url);
const files = readdirSync(folder);
const historyOf = (file: string) => readHistory(new URL(file, folder));

let workflowBundle: Awaited<ReturnType<typeof bundleWorkflows>>;

beforeAll(async () => {
  workflowBundle = await bundleWorkflows();
});

test('keeps a history of each workflow', () => {
  const names = files.map((file) => historyOf(file).events[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name);
  expect(new Set(names)).toEqual(new Set(['fleet', 'shard', 'agent', 'reconcile']));
});

test.each(files)('replays %s without a difference', async (file) => {
  await Worker.runReplayHistory({ workflowBundle }, historyOf(file));
});

test('notices a history that the workflows would not write', async () => {
  const foreign = historyOf('agent-repair-and-calls.json');
  for (const { activityTaskScheduledEventAttributes: scheduled } of foreign.events)
    if (scheduled?.activityType?.name === 'callTool') scheduled.activityType.name = 'parkAgent';
  await expect(Worker.runReplayHistory({ workflowBundle }, foreign)).rejects.toThrow(/Nondeterminism/);
});
