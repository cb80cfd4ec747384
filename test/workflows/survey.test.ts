import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createActivities, createGatewayClient, createRunTokens } from '../../activities/index.ts';
import { agentIdOf, fleetWorkflowId, shardWorkflowId } from '../../schema/ids.ts';
import { workflowTypes } from '../../schema/workflow-contract.ts';
import { listAgents, unparkAgents } from '../../store/agents.ts';
import { getRun, moveRun, type RunKey, reopenRun } from '../../store/runs.ts';
import { type FakeGateway, pretendedProofs, startFakeGateway } from '../activities/fake-gateway.ts';
import { openRunFixture, type RunFixture, snapshotOf } from '../activities/run-fixture.ts';
import { obedientModel, playSurvey } from '../activities/scripted-survey.ts';
import { bundleWorkflows, startWorkers, type TestWorkers } from './workers.ts';

const planted = 'PLANTED-7f3a';
const files = ['/input/folder-0/file-0-0.ts', '/input/folder-1/file-1-5.ts', '/input/folder-2/file-2-9.ts'];

let bundle: Awaited<ReturnType<typeof bundleWorkflows>>;
let fixture: RunFixture;
let fake: FakeGateway;
let workers: TestWorkers;

beforeAll(async () => {
  bundle = await bundleWorkflows();
  fixture = await openRunFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  fake = await startFakeGateway();
  playSurvey(fake, { files, planted, outputDirectory: fixture.outputDirectory });
  const tokens = createRunTokens({ issuerUrl: fake.url, proofs: pretendedProofs });
  const gateway = createGatewayClient({ gatewayUrl: fake.url, tokens });
  workers = await startWorkers(bundle, (workflows) =>
    createActivities({ ...fixture, gateway, workflows, logger: pino({ level: 'silent' }), recheckMs: 500 }),
  );
});
afterEach(async () => {
  await workers.close();
  await fake.close();
});

const launch = async (): Promise<{ key: RunKey; fleetId: string }> => {
  const key = await fixture.launch(snapshotOf({ output: { file: 'survey.md' } }));
  return { key, fleetId: fleetWorkflowId({ ...key, fleet: 'survey', runId: key.id }) };
};
const work = async ({ key, fleetId }: { key: RunKey; fleetId: string }) =>
  workers.workflows.start(workflowTypes.fleet, {
    workflowId: fleetId,
    taskQueue: workers.taskQueue,
    args: [{ org: key.org, project: key.project, fleet: 'survey', runId: key.id, attempt: (await getRun(fixture.database, key)).attempt }],
  });

/** Every payload of a history in clear, with everything else around it. */
const textOf = (history: unknown): string => {
  const found: string[] = [JSON.stringify(history)];
  const visit = (value: unknown): void => {
    if (value instanceof Uint8Array) found.push(Buffer.from(value).toString('utf8'));
    else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) visit(inner);
  };
  visit(history);
  return found.join('\n');
};

test('surveys a folder from its tree to the written file, and a model that chooses other files yields another survey', async () => {
  const run = await launch();
  await (await work(run)).result();
  expect(await getRun(fixture.database, run.key)).toMatchObject({ state: 'succeeded', result: join(fixture.outputDirectory, 'survey.md') });
  const survey = await readFile(join(fixture.outputDirectory, 'survey.md'), 'utf8');
  for (const file of files) expect(survey).toContain(`- ${file}: purpose of ${file}`);

  fake.script.onModel = (call) => obedientModel(call, ['/input/folder-0/file-0-7.ts']);
  const other = await launch();
  await (await work(other)).result();
  const another = await readFile(join(fixture.outputDirectory, 'survey.md'), 'utf8');
  expect(another).toBe('# atlas\n- /input/folder-0/file-0-7.ts: purpose of /input/folder-0/file-0-7.ts\n');
});

test('leaves nothing of what was read or written in the whole history of the run', async () => {
  const run = await launch();
  await (await work(run)).result();
  const agents = await listAgents(fixture.database, run.key);
  const shards = ['scout', 'read', 'merge'].map((stage) => shardWorkflowId(run.fleetId, stage, 0));
  const ids = [run.fleetId, ...shards, ...agents.map(({ id }) => id)];
  expect(ids).toHaveLength(9);
  for (const id of ids) {
    const text = textOf(await workers.workflows.getHandle(id).fetchHistory());
    expect(text).toContain(run.key.id);
    for (const secret of [planted, 'file-0-0', 'purpose of', 'Choose files', 'atlas', 'token-']) expect(text).not.toContain(secret);
  }
});

test('goes on as partial past a reader whose model talks nonsense, and finishes when resumed', async () => {
  const run = await launch();
  const [bad = ''] = files.slice(1);
  fake.script.onModel = (call) =>
    call.agentId.endsWith('/reader/1') ? { result: { choices: [{ message: { content: '{"tool":' } }] } } : obedientModel(call, files);
  await (await work(run)).result();
  expect(await getRun(fixture.database, run.key)).toMatchObject({ state: 'partial', reason: '1 of 5 agents is parked (answer_invalid)' });
  expect(await readFile(join(fixture.outputDirectory, 'survey.md'), 'utf8')).not.toContain(bad);

  fake.script.onModel = (call) => obedientModel(call, files);
  await reopenRun(fixture.database, run.key);
  await unparkAgents(fixture.database, run.key, { addSteps: 5, addCalls: 5, addTokens: 1000, addSeconds: 60 });
  await (await work(run)).result();
  expect(await getRun(fixture.database, run.key)).toMatchObject({ state: 'succeeded' });
  expect(await readFile(join(fixture.outputDirectory, 'survey.md'), 'utf8')).toContain(`- ${bad}: purpose of ${bad}`);
});

test('rides out a gateway that is away for a while', async () => {
  const run = await launch();
  let failures = 0;
  fake.script.onModel = (call) => {
    failures += 1;
    return failures <= 2 ? { status: 503, error: { code: 'store_unavailable' } } : obedientModel(call, files);
  };
  await (await work(run)).result();
  expect(await getRun(fixture.database, run.key)).toMatchObject({ state: 'succeeded' });
});

test('cancels a run in the middle of its calls', async () => {
  const run = await launch();
  fake.script.onModel = (call) => (call.agentId.includes('/reader/') ? { hangs: true } : obedientModel(call, files));
  const handle = await work(run);
  await expect.poll(() => fake.seen.calls.filter(({ agentId }) => agentId.includes('/reader/')).length, { timeout: 15_000 }).toBe(3);
  await moveRun(fixture.database, run.key, ['running'], 'cancelling');
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  expect(fake.seen.aborted).toBe(3);
  expect(await getRun(fixture.database, run.key)).toMatchObject({ state: 'cancelled' });
  const readers = await listAgents(fixture.database, run.key, 'read');
  expect(readers.map(({ state }) => state)).toEqual(['cancelled', 'cancelled', 'cancelled']);
  expect(readers[0]?.id).toBe(agentIdOf({ ...run.key, fleet: 'survey', runId: run.key.id, stage: 'read', role: 'reader', ordinal: 0 }));
});
