import { fileURLToPath } from 'node:url';
import { Client as ModernClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyStdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type BreakableFront, startBreakableFront } from '../support/breakable-front.ts';
import { cancelledCalls } from '../support/conformance/fixture-tools.ts';
import { startLegacyFixture } from '../support/conformance/legacy-server.ts';
import { startModernFixture } from '../support/conformance/modern-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startCli } from '../support/run-cli.ts';

const entry = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
let legacy: Awaited<ReturnType<typeof startLegacyFixture>>;
let modern: Awaited<ReturnType<typeof startModernFixture>>;
let legacyFront: BreakableFront;
let modernFront: BreakableFront;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  legacy = await startLegacyFixture();
  modern = await startModernFixture();
  legacyFront = await startBreakableFront(legacy.url);
  modernFront = await startBreakableFront(modern.url);
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(async () => {
  await legacyFront.stop();
  await modernFront.stop();
  await legacy.close();
  await modern.close();
});

const command = (url: string) => ({
  command: process.execPath,
  args: [entry, 'mcp', 'stdio'],
  env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', QUARTERDECK_URL: url, QUARTERDECK_TOKEN: 'token' },
  stderr: 'ignore' as const,
});
const environment = (url: string) => ({ env: { QUARTERDECK_URL: url, QUARTERDECK_TOKEN: 'token' } });

const connectLegacy = async () => {
  const logs: unknown[] = [];
  const changes: string[] = [];
  const client = new LegacyClient({ name: 'pipe', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Alice' } }));
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params.data));
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes.push('tools'));
  const transport = new LegacyStdio(command(legacyFront.origin));
  await client.connect(transport as never);
  closing.push(() => client.close());
  return { client, transport, logs, changes };
};
const connectModern = async () => {
  const changes: string[] = [];
  const client = new ModernClient(
    { name: 'pipe', version: '1' },
    {
      capabilities: { elicitation: { form: {} } },
      versionNegotiation: { mode: 'auto' },
      listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => void changes.push('tools') } },
    },
  );
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Alice' } }));
  await client.connect(new ModernStdio(command(modernFront.origin)));
  closing.push(() => client.close());
  expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
  return { client, changes };
};
const textOf = (result: object): string => (result as { content: { text: string }[] }).content[0]?.text ?? '';

test('a 2025-11-25 client on stdio has tools, prompts, resources, progress, logs and questions', async () => {
  const { client, logs } = await connectLegacy();
  await client.setLoggingLevel('debug');
  expect((await client.listTools()).tools.length).toBeGreaterThan(10);
  expect(textOf(await client.callTool({ name: 'test_simple_text' }))).toBe('This is a simple text response for testing.');
  expect((await client.listPrompts()).prompts.length).toBeGreaterThan(0);
  expect((await client.readResource({ uri: 'test://static-text' })).contents).toHaveLength(1);
  const progress: number[] = [];
  await client.callTool({ name: 'test_tool_with_progress' }, undefined, { onprogress: (each) => void progress.push(each.progress) });
  expect(progress).toEqual([0, 50, 100]);
  await client.callTool({ name: 'test_tool_with_logging' });
  expect(logs).toHaveLength(3);
  expect(textOf(await client.callTool({ name: 'test_input_required_result_elicitation' }))).toBe('Hello, Alice!');
  await expect(client.readResource({ uri: 'test://nowhere' })).rejects.toMatchObject({ code: -32002 });
});

test('hears of changed lists, and takes up a stream that the server closed in the middle', async () => {
  const { client, changes } = await connectLegacy();
  await client.callTool({ name: 'test_trigger_tool_change' });
  await pollUntil(async () => changes.length > 0, 'a changed list');
  await client.callTool({ name: 'test_trigger_tool_change' });
  expect(textOf(await client.callTool({ name: 'test_reconnection' }))).toBe('Reconnection test completed successfully.');
});

test('a cancelled call is cancelled at the server, in both eras', async () => {
  const { client: legacyClient } = await connectLegacy();
  const { client: modernClient } = await connectModern();
  const calls = [
    { front: legacyFront, call: (params: { name: string }, options: object) => legacyClient.callTool(params, undefined, options) },
    { front: modernFront, call: (params: { name: string }, options: object) => modernClient.callTool(params, options) },
  ];
  for (const [index, { front, call }] of calls.entries()) {
    const label = `stdio-${index}`;
    const cancel = new AbortController();
    const sent = front.bytes();
    const params = { name: 'slow_compute', arguments: { seconds: 30, label } };
    const refused = expect(call(params, { signal: cancel.signal })).rejects.toThrow();
    await pollUntil(async () => front.bytes() > sent, 'the call to be under way');
    cancel.abort();
    await refused;
    await pollUntil(async () => cancelledCalls.has(label), 'the cancellation at the server');
  }
});

test('a 2026-07-28 client on stdio has tools, questions, headers from its arguments, and changed lists', async () => {
  const { client, changes } = await connectModern();
  expect(textOf(await client.callTool({ name: 'test_header_parameter', arguments: { region: 'übersee' } }))).toBe('region übersee');
  expect((await client.listTools()).tools.length).toBeGreaterThan(10);
  expect(textOf(await client.callTool({ name: 'test_header_parameter', arguments: { region: 'eu' } }))).toBe('region eu');
  expect(textOf(await client.callTool({ name: 'test_input_required_result_elicitation' }))).toBe('Hello, Alice!');
  await client.callTool({ name: 'test_trigger_tool_change' });
  await pollUntil(async () => changes.length > 0, 'a changed list');
  await client.callTool({ name: 'test_trigger_tool_change' });
});

test('outlives a restart of the gateway: the same session, and calls that were under way', async () => {
  const { client } = await connectLegacy();
  const sessions = legacy.sessions.size;
  const sent = legacyFront.bytes();
  const call = client.callTool({ name: 'slow_compute', arguments: { seconds: 2, label: 'long' } });
  await pollUntil(async () => legacyFront.bytes() > sent, 'the call to be under way');
  await legacyFront.stop();
  const during = client.callTool({ name: 'greet', arguments: { name: 'Bob' } });
  await legacyFront.start();
  expect(textOf(await during)).toBe('Hello, Bob!');
  expect(textOf(await call)).toBe('slow_compute long done');
  expect(legacy.sessions.size).toBe(sessions);
});

test('a modern client outlives it too, and is told that what it listens to may have changed', async () => {
  const { client, changes } = await connectModern();
  await client.listTools();
  const before = changes.length;
  await modernFront.stop();
  const during = client.callTool({ name: 'greet', arguments: { name: 'Bob' } });
  await modernFront.start();
  expect(textOf(await during)).toBe('Hello, Bob!');
  await pollUntil(async () => changes.length > before, 'the changed list');
});

test('begins another session when the gateway has lost the first, with the log level that the client had set', async () => {
  const { client, changes, logs } = await connectLegacy();
  await client.setLoggingLevel('debug');
  (legacy.sessions as Map<string, unknown>).clear();
  expect(textOf(await client.callTool({ name: 'greet', arguments: { name: 'Bob' } }))).toBe('Hello, Bob!');
  await pollUntil(async () => changes.length > 0, 'the changed list');
  await client.callTool({ name: 'test_tool_with_logging' });
  expect(logs).toHaveLength(3);
});

test('ends when its client does, and ends its session', async () => {
  const { client } = await connectLegacy();
  await client.listTools();
  const sessions = legacy.sessions.size;
  await client.close();
  await pollUntil(async () => legacy.sessions.size === sessions - 1, 'the end of the session');
  const piped = startCli(['mcp', 'stdio'], {
    ...environment(modernFront.origin),
    input: `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'server/discover', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 'x', version: '1' }, 'io.modelcontextprotocol/clientCapabilities': {} } } })}\nnonsense\n`,
  });
  const { code, stdout } = await piped.ended;
  expect(code).toBe(0);
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(answers.find(({ id }) => id === 1).result.supportedVersions).toContain('2026-07-28');
  expect(answers.find(({ id }) => id === null).error.code).toBe(-32700);
});

test('ends when nobody reads its answers, and on SIGTERM, with a session that is over', async () => {
  const bridge = startCli(['mcp', 'stdio'], environment(legacyFront.origin));
  bridge.child.kill('SIGTERM');
  await bridge.ended;
  const { spawn } = await import('node:child_process');
  const child = spawn(process.execPath, [entry, 'mcp', 'stdio'], {
    env: command(modernFront.origin).env,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => undefined);
  child.stdout.destroy();
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.stdin.write('nonsense\n'.repeat(1000));
  expect(await ended).toBe(0);
});
