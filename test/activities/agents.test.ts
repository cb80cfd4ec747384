import { MockActivityEnvironment } from '@temporalio/testing';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createActivities, createGatewayClient, createRunTokens, type RunActivities } from '../../activities/index.ts';
import { createTranscriptStore } from '../../activities/transcript-store.ts';
import { agentIdOf } from '../../schema/ids.ts';
import { ToolsetSpecSchema } from '../../schema/resources/toolset.ts';
import { getAgent, unparkAgents } from '../../store/agents.ts';
import { applyResources, deleteResource, setCondition } from '../../store/resources.ts';
import { moveRun, type RunKey, type RunSnapshot, reopenRun } from '../../store/runs.ts';
import { completion, type FakeGateway, pretendedProofs, sayJson, startFakeGateway, toolText } from './fake-gateway.ts';
import { openRunFixture, type RunFixture, snapshotOf } from './run-fixture.ts';

let fixture: RunFixture;
let fake: FakeGateway;
let activities: RunActivities;

beforeAll(async () => {
  fixture = await openRunFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  fake = await startFakeGateway();
  const tokens = createRunTokens({ issuerUrl: fake.url, proofs: pretendedProofs });
  const gateway = createGatewayClient({ gatewayUrl: fake.url, tokens });
  activities = createActivities({ ...fixture, gateway, workflows: {} as never, logger: pino({ level: 'silent' }) });
});
afterEach(() => fake.close());

const run = <Input, Output>(activity: (input: Input) => Promise<Output>, input: Input): Promise<Output> =>
  new MockActivityEnvironment().run(activity, input) as Promise<Output>;

/** Launches a run up to its scout's row. */
const launchScout = async (snapshot?: RunSnapshot): Promise<{ key: RunKey; agentId: string }> => {
  const key = await fixture.launch(snapshot);
  await run(activities.openRun, key);
  await run(activities.prepareStage, { run: key, stage: 'scout' });
  return { key, agentId: agentIdOf({ ...key, fleet: 'survey', runId: key.id, stage: 'scout', role: 'scout', ordinal: 0 }) };
};

const opened = async (agentId: string): Promise<string> => {
  const step = await run(activities.openAgent, { agentId });
  if (step.kind !== 'step') throw new Error(`${agentId} did not open: ${step.state}`);
  return step.transcriptDigest;
};

/** Steps of the model and of its calls, as the workflow takes them, until the agent ends. */
const drive = async (agentId: string, transcriptDigest: string): Promise<{ state: string; reason: string | null }> => {
  let at = transcriptDigest;
  let pending = 0;
  for (;;) {
    const input = { agentId, transcriptDigest: at };
    const step = pending > 0 ? await run(activities.callTool, input) : await run(activities.callModel, input);
    if (step.kind === 'ended') return { state: step.state, reason: step.reason };
    if (step.kind === 'waits') return { state: 'waits', reason: step.approvalId };
    at = step.transcriptDigest;
    pending = step.kind === 'calls' ? step.calls.length : step.kind === 'step' ? step.pendingCalls : 0;
  }
};

const callTree = sayJson({ tool: 'directory_tree', arguments: { path: '/input' } });
const nativeCall = (name: string, args: unknown) => ({
  result: completion({ tool_calls: [{ id: 'x', type: 'function', function: { name, arguments: JSON.stringify(args) } }] }, 'tool_calls'),
});

test('goes from the model to the tool to a valid answer, under operation ids of the step', async () => {
  const { agentId } = await launchScout();
  fake.script.onModel = ({ operationId }) =>
    operationId.endsWith('step-1/model') ? callTree : sayJson({ answer: { files: ['/input/a.ts'] } });
  fake.script.onTool = () => toolText('/input/a.ts\n/input/b.ts');
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'done', reason: null });
  expect(fake.seen.calls.map(({ operationId }) => operationId.slice(agentId.length))).toEqual([
    '/step-1/model',
    '/step-1/call-0',
    '/step-2/model',
  ]);
  const agent = await getAgent(fixture.database, agentId);
  expect(await fixture.contents.getJson(agent, agent.outputDigest ?? '')).toEqual({ files: ['/input/a.ts'] });
  expect(await run(activities.callModel, { agentId, transcriptDigest: agent.transcriptDigest ?? '' })).toMatchObject({
    kind: 'ended',
    state: 'done',
  });
  expect(fake.seen.calls).toHaveLength(3);
});

test('asks the model to repair its answer twice, then parks the agent with the reason', async () => {
  const { agentId } = await launchScout();
  fake.script.onModel = () => ({ result: completion({ content: 'I would rather chat.' }) });
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'parked', reason: 'answer_invalid' });
  expect(fake.seen.calls.map(({ operationId }) => operationId.split('/').at(-1))).toEqual(['model', 'model-repair-1', 'model-repair-2']);
  expect((await getAgent(fixture.database, agentId)).detail).toContain('3 times in a row');
});

test('lets a model repair cut JSON and an unknown tool', async () => {
  const { agentId } = await launchScout(snapshotOf({ decoding: 'native' }));
  const replies = [
    { result: completion({ content: '{"files":["/inp' }, 'length') },
    nativeCall('no_such_tool', {}),
    nativeCall('directory_tree', { path: '/input' }),
    sayJson({ files: ['/input/a.ts', '/input/a.ts'] }),
    sayJson({ files: ['/input/invented.ts'] }),
    sayJson({ files: ['/input/a.ts'] }),
  ];
  fake.script.onModel = () => replies.shift() ?? { hangs: true };
  fake.script.onTool = () => toolText('/input/a.ts');
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'done', reason: null });
});

test('hands a refusal to a native model, and parks it at the third in a row', async () => {
  const { agentId } = await launchScout(snapshotOf({ decoding: 'native' }));
  fake.script.onModel = () => nativeCall('directory_tree', { path: '/etc' });
  fake.script.onTool = () => ({ error: { code: 'argument_refused', message: 'paths under /input only' } });
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'parked', reason: 'tool_refused' });
  expect(fake.seen.calls.filter(({ tool }) => tool)).toHaveLength(3);
  const told = fake.seen.calls.findLast(({ chat }) => chat)?.chat?.messages.at(-1);
  expect(told).toMatchObject({ role: 'tool', content: 'paths under /input only' });
});

test('parks an agent of constrained decoding at the first refusal, and any agent at the third failure', async () => {
  const refused = await launchScout();
  fake.script.onModel = () => callTree;
  fake.script.onTool = () => ({ error: { code: 'tool_unknown' } });
  expect(await drive(refused.agentId, await opened(refused.agentId))).toEqual({ state: 'parked', reason: 'tool_refused' });
  const failed = await launchScout();
  fake.seen.calls.length = 0;
  fake.script.onTool = () => toolText('no such folder', true);
  expect(await drive(failed.agentId, await opened(failed.agentId))).toEqual({ state: 'parked', reason: 'tool_failed' });
  expect(fake.seen.calls.filter(({ tool }) => tool)).toHaveLength(3);
});

test.each([
  ['budget_exhausted', 'limit_steps', 'limit_steps'],
  ['not_permitted', undefined, 'not_authorised'],
  ['provider_refused', undefined, 'model_failed'],
])('parks an agent whose model call ends with %s', async (code, reason, parkedFor) => {
  const { agentId } = await launchScout();
  fake.script.onModel = () => ({ status: 400, error: { code, reason } });
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'parked', reason: parkedFor });
});

test('leaves what may pass to the retries of the workflow, by code and title alone', async () => {
  const { agentId } = await launchScout();
  const transcriptDigest = await opened(agentId);
  fake.script.onModel = () => ({ status: 503, error: { code: 'model_unavailable', message: 'secret words' } });
  const failure = await run(activities.callModel, { agentId, transcriptDigest }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ type: 'model_unavailable', nonRetryable: false, message: 'The model provider does not answer' });
  expect(JSON.stringify(failure)).not.toContain('secret words');
});

test('parks an agent whose call nobody can vouch for, and lets it go on after a resume under another operation id', async () => {
  const { key, agentId } = await launchScout();
  fake.script.onModel = () => callTree;
  fake.script.onTool = () => ({ error: { code: 'operation_unknown', message: 'unknown' } });
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'parked', reason: 'operation_unknown' });
  await run(activities.finishRun, { run: key });
  await reopenRun(fixture.database, key);
  await unparkAgents(fixture.database, key, { addSteps: 5, addCalls: 5, addTokens: 0, addSeconds: 0 });
  await run(activities.openRun, key);
  fake.seen.calls.length = 0;
  fake.script.onTool = () => toolText('/input/a.ts');
  fake.script.onModel = ({ operationId }) => (operationId.endsWith('step-2/model') ? callTree : sayJson({ answer: { files: [] } }));
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'done', reason: null });
  expect(fake.seen.calls.map(({ operationId }) => operationId.slice(agentId.length))).toEqual([
    '/attempt-2/step-2/model',
    '/attempt-2/step-2/call-0',
    '/attempt-2/step-3/model',
  ]);
});

test('goes on from the transcript when the workflow is started again, with the calls that are open', async () => {
  const { agentId } = await launchScout();
  fake.script.onModel = () => callTree;
  const step = await run(activities.callModel, { agentId, transcriptDigest: await opened(agentId) });
  expect(step.kind).toBe('calls');
  expect(await run(activities.openAgent, { agentId })).toMatchObject({ kind: 'step', pendingCalls: 1 });
  expect(fake.seen.lists).toBe(1);
});

test('waits for a toolset that is not there yet, then parks a role that must call what it was not granted', async () => {
  const { agentId } = await launchScout();
  fake.script.tools = [];
  await expect(run(activities.openAgent, { agentId })).rejects.toMatchObject({ type: 'server_unavailable', nonRetryable: false });
  const later = new MockActivityEnvironment({ attempt: 2 });
  expect(await later.run(activities.openAgent, { agentId })).toMatchObject({ kind: 'ended', state: 'parked', reason: 'not_authorised' });
  expect((await getAgent(fixture.database, agentId)).detail).toContain('survey-scan');
});

test('waits as long as the servers of the toolset have not been looked at', async () => {
  const { agentId } = await launchScout();
  fake.script.tools = [];
  const key = { org: 'default', project: 'default', kind: 'Toolset', name: 'survey-scan' } as const;
  const spec = ToolsetSpecSchema.parse({ servers: [{ name: 'files' }], naming: 'plain' });
  const { org, project, kind, name } = key;
  const metadata = { org, project, name, labels: {}, annotations: {} };
  await applyResources(fixture.database, [{ apiVersion: 'quarterdeck.dev/v1alpha1', kind, metadata, spec }]);
  const open = (attempt: number) => new MockActivityEnvironment({ attempt }).run(activities.openAgent, { agentId });
  const condition = { type: 'Ready', reason: 'WaitingForServers', message: '', observedGeneration: 1 };
  await setCondition(fixture.database, key, { ...condition, status: 'False' }, new Date());
  await expect(open(5)).rejects.toMatchObject({ type: 'server_unavailable' });
  await setCondition(fixture.database, key, { ...condition, status: 'True' }, new Date());
  expect(await open(6)).toMatchObject({ kind: 'ended', reason: 'not_authorised' });
  await deleteResource(fixture.database, key);
});

test('parks a role that must call what a toolset of search does not list, and says which toolset to take', async () => {
  const { agentId } = await launchScout();
  fake.script.tools = [];
  const key = { org: 'default', project: 'default', kind: 'Toolset', name: 'survey-scan' } as const;
  const { org, project, kind, name } = key;
  const spec = ToolsetSpecSchema.parse({ servers: [{ name: 'files' }], naming: 'plain', expose: 'search' });
  const metadata = { org, project, name, labels: {}, annotations: {} };
  await applyResources(fixture.database, [{ apiVersion: 'quarterdeck.dev/v1alpha1', kind, metadata, spec }]);
  const stands = { type: 'Ready', status: 'True' as const, reason: 'Serves', message: '', observedGeneration: 1 };
  await setCondition(fixture.database, key, stands, new Date());
  const opened = await new MockActivityEnvironment({ attempt: 2 }).run(activities.openAgent, { agentId });
  await deleteResource(fixture.database, key);
  expect(opened).toMatchObject({ kind: 'ended', state: 'parked', reason: 'not_authorised' });
  expect((await getAgent(fixture.database, agentId)).detail).toContain('so take a toolset that exposes all');
});

// tokens end with a whole second: in its last one an agent gets none either, and that is no matter of what it may
test.each([
  [0, 'limit_time'],
  [1, 'limit_time'],
  [60, 'not_authorised'],
])('parks an agent that gets no token any more: with %i s left for %s', async (timeSeconds, reason) => {
  const snapshot = snapshotOf();
  const { scout } = snapshot.roles;
  if (scout) scout.limits.timeSeconds = timeSeconds;
  const { agentId } = await launchScout(snapshot);
  fake.script.tokenStatus = 400;
  expect(await run(activities.openAgent, { agentId })).toMatchObject({ state: 'parked', reason });
});

test('ends agents of a run that is being cancelled as cancelled, whatever refuses them', async () => {
  const { key, agentId } = await launchScout();
  const transcriptDigest = await opened(agentId);
  await moveRun(fixture.database, key, ['running'], 'cancelling');
  fake.script.onModel = () => ({ status: 409, error: { code: 'run_ended' } });
  expect(await run(activities.callModel, { agentId, transcriptDigest })).toMatchObject({ state: 'cancelled' });
  expect(await run(activities.finishRun, { run: key })).toBe('cancelled');
});

test('waits for a person with its time standing still, and makes the same call again', async () => {
  const { agentId } = await launchScout();
  fake.script.onModel = ({ operationId }) =>
    operationId.endsWith('step-1/model') ? callTree : sayJson({ answer: { files: ['/input/a.ts'] } });
  const expiresAt = new Date(Date.now() + 3 * 86_400_000).toISOString();
  fake.script.onTool = () => ({ error: { code: 'needs_person', message: 'a person', approvalId: 'apr_0000000000000001', expiresAt } });
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'waits', reason: 'apr_0000000000000001' });
  const waiting = await getAgent(fixture.database, agentId);
  expect(waiting).toMatchObject({ state: 'running', approvalId: 'apr_0000000000000001' });
  await fixture.database.$client.query(
    `update agents set waiting_since = waiting_since - interval '2 days', deadline_at = deadline_at - interval '2 days' where id = $1`,
    [agentId],
  );
  const transcriptDigest = waiting.transcriptDigest ?? '';
  const again = await run(activities.callTool, { agentId, transcriptDigest });
  expect(again).toMatchObject({ kind: 'waits', approvalId: 'apr_0000000000000001' });
  if (again.kind === 'waits') expect(again.waitMs / 86_400_000).toBeCloseTo(3, 1);
  fake.script.onTool = () => toolText('/input/a.ts');
  const step = await run(activities.callTool, { agentId, transcriptDigest });
  expect(step).toMatchObject({ kind: 'step', pendingCalls: 0 });
  const ids = fake.seen.calls.filter(({ tool }) => tool).map(({ operationId }) => operationId);
  expect(new Set(ids), 'one operation, made three times').toEqual(new Set([`${agentId}/step-1/call-0`]));
  const agent = await getAgent(fixture.database, agentId);
  expect(agent).toMatchObject({ approvalId: null, waitingSince: null });
  expect((agent.deadlineAt?.getTime() ?? 0) - Date.now(), 'two days of waiting cost it nothing').toBeGreaterThan(800_000);
});

test('an agent that is halted waits where it is, whoever says so, and its time does not run; then it makes the same step', async () => {
  const { agentId } = await launchScout();
  fake.script.onModel = () => ({ status: 403, error: { code: 'halted', message: 'halted by a person' } });
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'waits', reason: 'halt' });
  expect(await getAgent(fixture.database, agentId)).toMatchObject({ state: 'running', approvalId: null, waitingSince: expect.any(Date) });

  fake.script.onModel = () => callTree;
  fake.script.onTool = () => ({ error: { code: 'halted', message: 'halted by a person' } });
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'waits', reason: 'halt' });
  await fixture.database.$client.query(
    `update agents set waiting_since = waiting_since - interval '2 days', deadline_at = deadline_at - interval '2 days' where id = $1`,
    [agentId],
  );
  fake.script.onTool = () => toolText('/input/a.ts');
  const { transcriptDigest } = await getAgent(fixture.database, agentId);
  expect(await run(activities.callTool, { agentId, transcriptDigest: transcriptDigest ?? '' })).toMatchObject({
    kind: 'step',
    pendingCalls: 0,
  });
  const agent = await getAgent(fixture.database, agentId);
  expect(agent.waitingSince).toBeNull();
  expect((agent.deadlineAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(800_000);
});

test.each(['approval_denied', 'approval_expired'])('hands %s to the model as a refusal', async (code) => {
  const { agentId } = await launchScout();
  fake.script.onModel = () => callTree;
  fake.script.onTool = () => ({ error: { code, message: 'refused by a person' } });
  expect(await drive(agentId, await opened(agentId))).toEqual({ state: 'parked', reason: 'tool_refused' });
  expect((await getAgent(fixture.database, agentId)).detail).toContain('refused by a person');
});

test('aborts the call in flight when the activity is cancelled', async () => {
  const { agentId } = await launchScout();
  const transcriptDigest = await opened(agentId);
  const environment = new MockActivityEnvironment();
  fake.script.onModel = () => {
    environment.cancel('CANCELLED');
    return { hangs: true };
  };
  await expect(environment.run(activities.callModel, { agentId, transcriptDigest })).rejects.toMatchObject({ name: 'CancelledFailure' });
  await expect.poll(() => fake.seen.aborted).toBe(1);
});

test('keeps the whole conversation, however short the prompts were', async () => {
  const { agentId } = await launchScout();
  const long = Array.from({ length: 2000 }, (_, index) => `/input/file-${index}.ts`).join('\n');
  fake.script.onModel = ({ operationId }) => (operationId.endsWith('step-1/model') ? callTree : sayJson({ answer: { files: [] } }));
  fake.script.onTool = () => toolText(long);
  await drive(agentId, await opened(agentId));
  const agent = await getAgent(fixture.database, agentId);
  const { entries } = await createTranscriptStore(fixture.contents).load(agent, agent.transcriptDigest ?? '');
  expect(entries.map(({ kind }) => kind)).toEqual(['answer', 'result', 'answer']);
  expect(entries[1]).toMatchObject({ text: long });
});
