import { readdirSync, readFileSync } from 'node:fs';
import { Worker } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import { bundleWorkflows } from '../workflows/workers.ts';

const folder = new URL('histories/', import.meta.url);
let workflowBundle: Awaited<ReturnType<typeof bundleWorkflows>>;

beforeAll(async () => {
  workflowBundle = await bundleWorkflows();
});

const historyOf = (
  file: string,
): { events: { eventType: string; workflowExecutionStartedEventAttributes?: { workflowType: { name: string } } }[] } =>
  JSON.parse(readFileSync(new URL(file, folder), 'utf8'));

const files = readdirSync(folder);

test('keeps a history of each workflow', () => {
  const names = files.map((file) => historyOf(file).events[0]?.workflowExecutionStartedEventAttributes?.workflowType.name);
  expect(new Set(names)).toEqual(new Set(['fleet', 'shard', 'agent']));
});

test.each(files)('replays %s without a difference', async (file) => {
  await Worker.runReplayHistory({ workflowBundle }, historyOf(file));
});

test('notices a history that the workflows would not write', async () => {
  const history = historyOf('agent-repair-and-calls.json');
  const foreign = JSON.parse(JSON.stringify(history).replaceAll('"callTool"', '"parkAgent"'));
  await expect(Worker.runReplayHistory({ workflowBundle }, foreign)).rejects.toThrow();
});
