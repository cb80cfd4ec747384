import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject, Reply } from '../../gateway/mcp/message.ts';
import { applyResources, deleteResource } from '../../store/resources.ts';
import { startFixtureReplicas } from '../support/fixture-replicas.ts';
import { pollUntil } from '../support/poll-until.ts';
import { parsed } from '../support/running-gateway.ts';
import {
  askable,
  errorOf,
  hearing,
  personOf,
  resultOf,
  type SurfaceReplica,
  startSurfaceReplica,
  withTasks,
} from '../support/surface-replica.ts';

let fixtures: Awaited<ReturnType<typeof startFixtureReplicas>>;
beforeAll(async () => {
  fixtures = await startFixtureReplicas();
});
afterAll(() => fixtures.close());

const replica = (index = 0): SurfaceReplica => fixtures.replicas[index] as SurfaceReplica;
const create = async (toolset: string, name: string, args: JsonObject = {}, rest: JsonObject = {}): Promise<JsonObject> =>
  resultOf(await replica().call(name, args, { toolset, capabilities: withTasks, rest }));
const handle = (toolset: string, method: string, params: JsonObject, at = 0, capabilities = withTasks): Promise<Reply> =>
  replica(at).handle({ method, params, toolset, capabilities });
const get = async (toolset: string, taskId: unknown, at = 0): Promise<JsonObject> =>
  resultOf(await handle(toolset, 'tasks/get', { taskId }, at));
const until = (toolset: string, taskId: unknown, statuses: string[], at = 0): Promise<JsonObject> =>
  pollUntil(
    async () => {
      const task = await get(toolset, taskId, at);
      return statuses.includes(String(task.status)) ? task : undefined;
    },
    `the task to be ${statuses.join(' or ')}`,
  );
const listenTo = (toolset: string, taskId: unknown) => {
  const listening = new AbortController();
  const { said, notify } = hearing();
  const params = { notifications: { taskIds: [taskId] } };
  void replica().handle({
    method: 'subscriptions/listen',
    params,
    toolset,
    capabilities: withTasks,
    notify,
    signal: listening.signal,
  });
  return { listening, told: said };
};
const ended = ['completed', 'failed', 'cancelled'];
const textOf = (result: unknown): string => ((result as JsonObject).content as { text: string }[])[0]?.text ?? '';

describe.each(['legacy', 'modern'])('tasks in front of a %s server that knows none', (toolset) => {
  test('a call that ends soon is answered at once, one that does not becomes a task that can be asked for everywhere', async () => {
    expect(textOf(await create(toolset, 'greet', { name: 'World' }))).toBe('Hello, World!');
    const created = await create(toolset, 'slow_compute', { seconds: 1, label: 'x' });
    expect(created).toMatchObject({ resultType: 'task', status: 'working', ttlMs: expect.any(Number), pollIntervalMs: expect.any(Number) });
    expect(Object.keys(created)).not.toEqual(expect.arrayContaining(['result']));
    expect(await get(toolset, created.taskId)).toMatchObject({ taskId: created.taskId, status: 'working' });
    expect(await get(toolset, created.taskId, 1)).toMatchObject({ taskId: created.taskId, status: 'working' });
    for (const at of [1, 0]) {
      const done = await until(toolset, created.taskId, ended, at);
      expect(done.status).toBe('completed');
      expect(textOf(done.result)).toBe('slow_compute x done');
    }
  });

  test('a failure of the tool is a completed task, a failure of the protocol is a failed one', async () => {
    const { taskId: failing } = await create(toolset, 'failing_job');
    expect(await until(toolset, failing, ended)).toMatchObject({ status: 'completed', result: { isError: true } });
    const { taskId: broken } = await create(toolset, 'protocol_error_job');
    const failed = await until(toolset, broken, ended);
    expect(failed).toMatchObject({ status: 'failed', error: { code: expect.any(Number), message: expect.any(String) } });
    expect(failed).not.toHaveProperty('result');
  });

  test('what the server asks is on the task, and answers may come one by one and at any replica', async () => {
    const { taskId } = await create(toolset, 'multi_input');
    const asking = await pollUntil(async () => {
      const task = await get(toolset, taskId, 1);
      return Object.keys((task.inputRequests ?? {}) as JsonObject).length === 2 ? task : undefined;
    }, 'both questions');
    expect(asking.status).toBe('input_required');
    const [first = '', second = ''] = Object.keys(asking.inputRequests as JsonObject);
    const accepted = (name: string) => ({ action: 'accept', content: { name } });
    expect(resultOf(await handle(toolset, 'tasks/update', { taskId, inputResponses: { [first]: accepted('one'), nobody: {} } }))).toEqual(
      {},
    );
    const after = await get(toolset, taskId);
    expect(Object.keys(after.inputRequests as JsonObject)).toEqual([second]);
    expect(resultOf(await handle(toolset, 'tasks/update', { taskId, inputResponses: { [second]: accepted('two') } }, 1))).toEqual({});
    const done = await until(toolset, taskId, ended, 1);
    expect(done.status).toBe('completed');
    expect(textOf(done.result)).toMatch(/multi_input (one two|two one)/);
  });

  test('input that is needed at once is asked for first, and the long rest becomes a task', async () => {
    const round = await create(toolset, 'test_tool_with_task');
    expect(round).toMatchObject({ resultType: 'input_required' });
    expect(round).not.toHaveProperty('taskId');
    const [key = ''] = Object.keys(round.inputRequests as JsonObject);
    const inputResponses = { [key]: { action: 'accept', content: { name: 'Alice' } } };
    const created = await create(toolset, 'test_tool_with_task', {}, { inputResponses, requestState: round.requestState });
    expect(created).toMatchObject({ resultType: 'task' });
    expect(created).not.toHaveProperty('requestState');
    expect(textOf((await until(toolset, created.taskId, ended)).result)).toBe('Hello, Alice!');
  });

  test('a task that is cancelled, here or at another replica, ends so', async () => {
    for (const at of [0, 1]) {
      const { taskId } = await create(toolset, 'slow_compute', { seconds: 60 });
      expect(resultOf(await handle(toolset, 'tasks/cancel', { taskId }, at))).toEqual({});
      expect((await until(toolset, taskId, ended)).status).toBe('cancelled');
      expect(resultOf(await handle(toolset, 'tasks/cancel', { taskId }, at))).toEqual({});
    }
  });

  test('somebody else’s task is answered like one that there is not', async () => {
    const { taskId } = await create(toolset, 'slow_compute', { seconds: 1 });
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
      for (const at of [0, 1]) {
        const ask = (id: unknown, principal = personOf('admin'), of = toolset) =>
          replica(at).handle({ method, params: { taskId: id, inputResponses: {} }, toolset: of, capabilities: withTasks, principal });
        const unknown = await ask('task_nobody');
        expect(errorOf(unknown)).toMatchObject({ code: -32602, message: 'Failed to retrieve task: Task not found' });
        expect(await ask(taskId, personOf('other'))).toEqual(unknown);
        expect(await ask(taskId, personOf('admin'), toolset === 'legacy' ? 'modern' : 'legacy')).toEqual(unknown);
      }
    expect((await until(toolset, taskId, ended)).status).toBe('completed');
  });

  test('a client that knows no tasks gets none, and a tool that can only be a task is not for it', async () => {
    const plain = await replica().call('slow_compute', { seconds: 0.7, label: 'y' }, { toolset, capabilities: askable });
    expect(textOf(resultOf(plain))).toBe('slow_compute y done');
    const required = { requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } };
    // the modern revision has no word for such a tool in its definition
    if (toolset === 'legacy')
      expect(errorOf(await replica().call('failing_job', {}, { toolset, capabilities: askable }))).toMatchObject({
        code: -32021,
        data: required,
      });
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
      expect(errorOf(await handle(toolset, method, { taskId: 'x', inputResponses: {} }, 0, askable))).toMatchObject({
        code: -32021,
        data: required,
      });
  });
});

describe('a tool that may not be used any more', () => {
  const tenancy = { org: 'default', project: 'default' };
  const policy = (cedar: string) => ({ kind: 'PolicySet', metadata: { name: 'later' }, spec: { cedar } });
  const frozen = (isFrozen: boolean) => ({ kind: 'Project', metadata: { name: 'default' }, spec: { frozen: isFrozen } });
  const apply = (...documents: object[]) => applyResources(replica().database, parsed(...documents));
  const quarantine = (hash: string) =>
    replica().database.$client.query(`update definitions set current_hash = ${hash} where server = 'modern' and name = 'slow_compute'`);
  const notFound = { code: -32602, message: 'Failed to retrieve task: Task not found' };
  const changes: [string, () => Promise<unknown>, () => Promise<unknown>, object][] = [
    [
      'by policy',
      () => apply(policy('forbid (principal, action == Quarterdeck::Action::"callTool", resource);')),
      () => deleteResource(replica().database, { ...tenancy, kind: 'PolicySet', name: 'later' }),
      notFound,
    ],
    [
      'with such arguments',
      () =>
        apply(
          policy(
            '@id("short") forbid (principal, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.bytes > 60 };',
          ),
        ),
      () => deleteResource(replica().database, { ...tenancy, kind: 'PolicySet', name: 'later' }),
      { code: -32010, data: { code: 'argument_refused', rule: 'policyset/later/short' } },
    ],
    [
      'since its project is frozen',
      () => apply(frozen(true)),
      () => apply(frozen(false)),
      { code: -32010, data: { code: 'argument_refused', rule: 'platform/frozen-project-tool' } },
    ],
    ['since it is another one now', () => quarantine("'other'"), () => quarantine('approved_hash'), notFound],
  ];

  test.each(changes)('%s keeps the results of its tasks, which can still be taken back', async (_why, forbid, undo, refusal) => {
    const long = { label: 'x'.repeat(60) };
    const created = await create('modern', 'slow_compute', { seconds: 1, ...long });
    const running = await create('modern', 'slow_compute', { seconds: 60, ...long });
    await until('modern', created.taskId, ended);
    const { listening, told } = listenTo('modern', running.taskId);
    await pollUntil(() => told.length >= 2 || undefined, 'the stream');
    await forbid();
    for (const { taskId } of [created, running])
      for (const at of [0, 1]) {
        await pollUntil(async () => (await handle('modern', 'tasks/get', { taskId }, at)).kind === 'error' || undefined, 'the change');
        for (const method of ['tasks/get', 'tasks/update'])
          expect(errorOf(await handle('modern', method, { taskId, inputResponses: {} }, at)), method).toMatchObject(refusal);
      }
    const before = told.length;
    for (const at of [1, 0]) expect(resultOf(await handle('modern', 'tasks/cancel', { taskId: created.taskId }, at))).toEqual({});
    expect(resultOf(await handle('modern', 'tasks/cancel', { taskId: running.taskId }, 1))).toEqual({});
    await undo();
    await pollUntil(
      async () => (await handle('modern', 'tasks/get', { taskId: running.taskId })).kind === 'result' || undefined,
      'it back',
    );
    expect((await until('modern', running.taskId, ended)).status).toBe('cancelled');
    expect(textOf((await get('modern', created.taskId)).result)).toContain('done');
    expect(told.slice(before).every(({ params }) => params?.status !== 'working')).toBe(true);
    listening.abort();
  });

  test('is not gone on with after its question', async () => {
    const name = 'test_input_required_result_elicitation';
    const parked = resultOf(await replica().call(name, {}, { toolset: 'legacy' }));
    const [key = ''] = Object.keys(parked.inputRequests as JsonObject);
    const rest = { inputResponses: { [key]: { action: 'cancel' } }, requestState: parked.requestState };
    await apply(policy('forbid (principal, action == Quarterdeck::Action::"callTool", resource);'));
    const isHidden = async (at: number) => (await replica(at).call('greet', {}, { toolset: 'legacy' })).kind === 'error' || undefined;
    for (const at of [1, 0]) {
      await pollUntil(() => isHidden(at), 'the policy');
      expect(errorOf(await replica(at).call(name, {}, { toolset: 'legacy', rest }))).toMatchObject({ data: { code: 'tool_unknown' } });
    }
    await deleteResource(replica().database, { ...tenancy, kind: 'PolicySet', name: 'later' });
    await pollUntil(async () => !(await isHidden(0)) || undefined, 'it back');
    expect(textOf(resultOf(await replica().call(name, {}, { toolset: 'legacy', rest })))).toContain('unknown');
  });
});

test('methods of older tasks are unknown', async () => {
  for (const method of ['tasks/list', 'tasks/result'])
    expect(errorOf(await handle('modern', method, { taskId: 'x' }))).toMatchObject({ code: -32601 });
});

test('a task whose replica is gone has failed, unless the outcome of its call was committed', async () => {
  const third = await startSurfaceReplica(fixtures.databaseUrl);
  await third.look('legacy', 'modern');
  const lost = resultOf(await third.call('slow_compute', { seconds: 60 }, { toolset: 'legacy', capabilities: withTasks }));
  const parked = resultOf(await third.call('test_input_required_result_elicitation', {}, { toolset: 'legacy' }));
  // the lock of a killed process is free; what it ran is never told
  third.vanish();
  const failed = await until('legacy', lost.taskId, ended);
  expect(failed).toMatchObject({ status: 'failed', error: { code: -32010, data: { code: 'operation_unknown', retryable: false } } });
  const [key = ''] = Object.keys(parked.inputRequests as JsonObject);
  const inputResponses = { [key]: { action: 'accept', content: { name: 'Alice' } } };
  const rejoined = await replica().call(
    'test_input_required_result_elicitation',
    {},
    { toolset: 'legacy', rest: { inputResponses, requestState: parked.requestState } },
  );
  expect(errorOf(rejoined)).toMatchObject({ code: -32010, data: { code: 'operation_unknown' } });
  await replica().call('greet', { name: 'World' }, { toolset: 'legacy', idempotencyKey: 'known' });
  await replica().database.$client.query(`update mcp_tasks set status = 'working', operation_id = 'known' where id = $1`, [lost.taskId]);
  const found = await until('legacy', lost.taskId, ended, 1);
  expect(found.status).toBe('completed');
  expect(textOf(found.result)).toBe('Hello, World!');
  await third.close().catch(() => undefined);
});

test('a retry that was answered is answered the same once more, and nothing runs again', async () => {
  const first = resultOf(await replica().call('test_input_required_result_elicitation', {}, { toolset: 'legacy' }));
  const [key = ''] = Object.keys(first.inputRequests as JsonObject);
  const again = { toolset: 'legacy', rest: { inputResponses: { [key]: { action: 'cancel' } }, requestState: first.requestState } };
  const end = resultOf(await replica().call('test_input_required_result_elicitation', {}, again));
  expect(textOf(end)).toContain('unknown');
  // the same retry once more finds the same end, and nothing runs again
  expect(resultOf(await replica(1).call('test_input_required_result_elicitation', {}, again))).toEqual(end);
});

test('a client that leaves while it waits takes the call back at its server, wherever it waits', async () => {
  for (const at of [0, 1]) {
    const first = resultOf(await replica().call('test_tool_with_task', {}, { toolset: 'legacy', capabilities: withTasks }));
    const [key = ''] = Object.keys(first.inputRequests as JsonObject);
    const leaving = new AbortController();
    const rest = { inputResponses: { [key]: { action: 'accept', content: { name: 'A' } } }, requestState: first.requestState };
    const waiting = replica(at).call(
      'test_tool_with_task',
      {},
      { toolset: 'legacy', capabilities: withTasks, rest, signal: leaving.signal },
    );
    await delay(100);
    leaving.abort();
    expect(errorOf(await waiting)).toBeDefined();
  }
});
