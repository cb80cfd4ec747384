import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Notification, Question, Reply } from '../../gateway/mcp/message.ts';
import { startLegacyFixture } from '../support/conformance/legacy-server.ts';
import { startModernFixture } from '../support/conformance/modern-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import {
  anyone,
  callerNamed,
  callText,
  startUpstreamHarness,
  textIn,
  toolCall,
  type UpstreamHarness,
} from '../support/upstream-harness.ts';

let harness: UpstreamHarness;
let legacy: Awaited<ReturnType<typeof startLegacyFixture>>;
let modern: Awaited<ReturnType<typeof startModernFixture>>;

beforeAll(async () => {
  harness = await startUpstreamHarness();
  legacy = await startLegacyFixture();
  modern = await startModernFixture();
});
afterAll(async () => {
  await harness.close();
  await legacy.close();
  await modern.close();
});

const accept = async (): Promise<Reply> => ({ kind: 'result', result: { action: 'accept', content: { name: 'Alice', response: 'yes' } } });

describe.each(['legacy', 'modern'] as const)('a %s server', (era) => {
  const connect = async (caller = anyone) => {
    const server = await harness.declare(era, { url: (era === 'legacy' ? legacy : modern).url });
    const pool = harness.startPool();
    return { pool, server, connection: await pool.connect(server, caller) };
  };

  test('is found out, and what it offers is compared with its pins', async () => {
    const { connection, pool, server } = await connect();
    expect(connection.era).toBe(era);
    expect(connection.capabilities).toMatchObject({ tools: { listChanged: true }, resources: { subscribe: true } });
    expect([...connection.offered.keys()]).toEqual(
      expect.arrayContaining(['tool/greet', 'prompt/test_simple_prompt', 'template/test://template/{id}/data']),
    );
    await harness.refresh();
    const pinned = harness.declared().definitionsOf({ org: 'default', project: 'default' }, era, 'tool');
    expect(pinned.find(({ name }) => name === 'greet')?.approvedHash).toBe(connection.offered.get('tool/greet'));
    expect(pool.factsOf(server)).toMatchObject({ era, capabilities: connection.capabilities });
    expect(pool.healthOf(server)).toBe('closed');
  });

  test('answers calls, reads, prompts and completions, and errors are handed over', async () => {
    const { connection } = await connect();
    expect(await callText(connection, 'greet', { name: 'Ada' })).toBe('Hello, Ada!');
    const read = await connection.request({ ...toolCall(''), method: 'resources/read', params: { uri: 'test://static-text' } });
    expect(read).toMatchObject({ kind: 'result', result: { contents: [{ uri: 'test://static-text' }] } });
    const prompt = await connection.request({ ...toolCall(''), method: 'prompts/get', params: { name: 'test_simple_prompt' } });
    expect(prompt).toMatchObject({ kind: 'result', result: { messages: [{ role: 'user' }] } });
    const unknown = await connection.request(toolCall('nothing-of-the-kind'));
    expect(unknown).toMatchObject({ kind: 'error', error: { code: -32602 } });
  });

  test('reports progress without our token, and logs', async () => {
    const { connection } = await connect({ ...anyone, logLevel: 'debug' });
    const heard: Notification[] = [];
    const onNotification = (notification: Notification) => void heard.push(notification);
    await connection.request(toolCall('test_tool_with_progress', {}, { wantsProgress: true, onNotification }));
    expect(heard.map(({ params }) => params)).toEqual(
      [0, 50, 100].map((progress) => ({ progress, total: 100, message: `Completed step ${progress} of 100` })),
    );
    heard.length = 0;
    await connection.request(toolCall('test_tool_with_logging', {}, { onNotification }));
    expect(heard.map(({ method, params }) => [method, params?.data])).toEqual(
      ['Tool execution started', 'Tool processing data', 'Tool execution completed'].map((data) => ['notifications/message', data]),
    );
  });

  test('hears within a second that a call is taken back, and the caller hears that it was sent', async () => {
    const { connection } = await connect();
    const stop = new AbortController();
    const { cancelledCalls } = await import('../support/conformance/fixture-tools.ts');
    const call = connection.request(toolCall('slow_compute', { seconds: 20, label: era }, { signal: stop.signal }));
    setTimeout(() => stop.abort(), 200);
    await expect(call).rejects.toMatchObject({ wasSent: true, reason: 'caller' });
    await pollUntil(() => cancelledCalls.has(era) || undefined, 'its end at the server', 1000);
  });

  test('tells of changed lists and watched resources to all who listen, on one stream', async () => {
    const { connection, pool, server } = await connect();
    const heard: string[] = [];
    const listen = (name: string) => pool.listen(server, undefined, { lists: true }, ({ method }) => void heard.push(`${name} ${method}`));
    const first = await listen('a');
    const second = await listen('b');
    const resources = await pool.listen(server, undefined, { resources: ['test://watched-resource'] }, () => undefined);
    expect(first.accepted).toEqual({ lists: true });
    expect(resources.accepted).toEqual({ resources: ['test://watched-resource'] });
    second.close();
    const before = connection.offered.size;
    await connection.request(toolCall('test_trigger_tool_change'));
    await pollUntil(() => heard.length > 0 || undefined, 'the change');
    expect(heard[0]).toBe('a notifications/tools/list_changed');
    expect(Math.abs(connection.offered.size - before)).toBe(1);
    first.close();
    resources.close();
  });
});

test('a modern server asks by its result, and hears the answers in a further request', async () => {
  const pool = harness.startPool();
  const server = await harness.declare('asks-by-result', { url: modern.url });
  const connection = await pool.connect(server, callerNamed('somebody', { elicitation: { form: {} } }));
  const first = await connection.request(toolCall('test_input_required_result_elicitation'));
  expect(first).toMatchObject({ kind: 'result', result: { resultType: 'input_required' } });
  const again = toolCall('test_input_required_result_elicitation');
  const inputResponses = { user_name: { action: 'accept', content: { name: 'Alice' } } };
  const second = await connection.request({ ...again, params: { ...again.params, inputResponses } });
  expect(textIn(second)).toBe('Hello, Alice!');
});

test('a modern server is told what is in an argument by a header, as its tool asks', async () => {
  const pool = harness.startPool();
  const server = await harness.declare('headers', { url: modern.url });
  const connection = await pool.connect(server, anyone);
  expect(await callText(connection, 'test_header_parameter', { region: 'Zürich ' })).toBe('region Zürich ');
});

describe('a legacy server', () => {
  const open = async (name: string) => ({ pool: harness.startPool(), server: await harness.declare(name, { url: legacy.url }) });

  test('asks in the middle of a call whoever can answer, and nobody else', async () => {
    const { pool, server } = await open('asking');
    const able = await pool.connect(server, callerNamed('able', { elicitation: {}, sampling: {} }));
    const questions: Question[] = [];
    const onAsk = async (question: Question): Promise<Reply> => {
      questions.push(question);
      return accept();
    };
    expect(await callText(able, 'test_elicitation', { message: 'Really?' }, { onAsk })).toBe(
      'User response: action=accept, content={"name":"Alice","response":"yes"}',
    );
    expect(questions).toMatchObject([{ method: 'elicitation/create', params: { message: 'Really?' } }]);
    const unable = await pool.connect(server, callerNamed('unable'));
    const refused = await unable.request(toolCall('test_elicitation', { message: 'Really?' }, { onAsk }));
    expect(refused).toMatchObject({ kind: 'error' });
    expect(questions).toHaveLength(1);
  });

  test('has a session for each caller, opened by the first request, and none for a caller that asks nothing', async () => {
    const { pool, server } = await open('sessions');
    const connection = await pool.connect(server, callerNamed('one'));
    const own = legacy.sessions.size;
    await pool.connect(server, callerNamed('two'));
    expect(legacy.sessions.size).toBe(own);
    await callText(connection, 'greet', { name: 'one' });
    await callText(connection, 'greet', { name: 'one' });
    expect(legacy.sessions.size).toBe(own + 1);
  });

  test('goes on with the same session when another replica calls, and forgets it when its key ends', async () => {
    const { pool, server } = await open('shared-session');
    const other = harness.startPool();
    await callText(await pool.connect(server, callerNamed('traveller')), 'greet', { name: 'x' });
    const elsewhere = await other.connect(server, callerNamed('traveller'));
    const before = legacy.sessions.size;
    await callText(elsewhere, 'greet', { name: 'x' });
    expect(legacy.sessions.size).toBe(before);
    await other.endSession('traveller');
    await pollUntil(() => legacy.sessions.size === before - 1 || undefined, 'its end at the server');
  });

  test('that has forgotten a session is greeted again, and the request is sent once more', async () => {
    const { pool, server } = await open('forgetful');
    const connection = await pool.connect(server, callerNamed('lost'));
    await callText(connection, 'greet', { name: 'x' });
    (legacy.sessions as Map<string, unknown>).clear();
    expect(await callText(connection, 'greet', { name: 'again' })).toBe('Hello, again!');
  });

  test('loses a modern caller’s session when nobody has used it for long, at any replica', async () => {
    const { pool, server } = await open('unused');
    await callText(await pool.connect(server, callerNamed('idler')), 'greet', { name: 'x' });
    const before = legacy.sessions.size;
    harness.clock.skip(310_000);
    await pool.sweep();
    // the database goes by its own clock: to it, another replica may use the session still
    expect(legacy.sessions.size).toBe(before);
    await callText(await pool.connect(server, callerNamed('idler')), 'greet', { name: 'x' });
    expect(legacy.sessions.size).toBe(before);
    await harness.database.execute(sql`update mcp_upstream_sessions set used_at = now() - interval '10 minutes'`);
    harness.clock.skip(310_000);
    await pool.sweep();
    await pollUntil(() => legacy.sessions.size === before - 1 || undefined, 'its end at the server');
  });

  test('that closes the stream of a call is asked for the rest of it, and the call is not made twice', async () => {
    const { pool, server } = await open('closing');
    const connection = await pool.connect(server, anyone);
    expect(await callText(connection, 'test_reconnection')).toBe('Reconnection test completed successfully.');
  });
});
