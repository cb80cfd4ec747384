import { fileURLToPath } from 'node:url';
import { Client as ModernClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyStdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBothEras } from '../support/both-eras.ts';
import { pollUntil } from '../support/poll-until.ts';
import { runCli } from '../support/run-cli.ts';
import { adminToken, guestToken, type RunningGateway } from '../support/running-gateway.ts';

const entry = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
let gateway: RunningGateway;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ gateway, close } = await startBothEras());
});
afterAll(() => close());

const mcp = (args: string[], token = adminToken) =>
  runCli(['mcp', ...args], { env: { QUARTERDECK_URL: gateway.publicUrl, QUARTERDECK_TOKEN: token } });
const command = (toolset: string) => ({
  command: process.execPath,
  args: [entry, 'mcp', 'stdio', toolset],
  env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', QUARTERDECK_URL: gateway.publicUrl, QUARTERDECK_TOKEN: adminToken },
  stderr: 'ignore' as const,
});
const connectLegacy = async (toolset: string) => {
  const client = new LegacyClient({ name: 'pipe', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Alice' } }));
  await client.connect(new LegacyStdio(command(toolset)) as never);
  return client;
};
const connectModern = async (toolset: string) => {
  const client = new ModernClient(
    { name: 'pipe', version: '1' },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: 'auto' } },
  );
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Alice' } }));
  await client.connect(new ModernStdio(command(toolset)));
  expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
  return client;
};
const textOf = (result: object): string => (result as { content: { text: string }[] }).content[0]?.text ?? '';
const greet = { name: 'greet', arguments: { name: 'Bob' } };
const question = { name: 'test_input_required_result_elicitation', arguments: {} };

test.each(['legacy', 'modern'])('clients of both eras that know stdio alone use a %s server through the gateway', async (toolset) => {
  for (const client of [await connectLegacy(toolset), await connectModern(toolset)]) {
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('greet');
    expect(textOf(await client.callTool(greet))).toBe('Hello, Bob!');
    await client.close();
  }
});

test('what a server asks reaches a client on stdio, and its answer goes back', async () => {
  const legacyClient = await connectLegacy('legacy');
  expect(textOf(await legacyClient.callTool(question))).toBe('Hello, Alice!');
  await legacyClient.close();
  const modernClient = await connectModern('modern');
  expect(textOf(await modernClient.callTool(question))).toBe('Hello, Alice!');
  await modernClient.close();
});

test('a client on stdio does not notice that the gateway was restarted', async () => {
  const clients = [await connectLegacy('legacy'), await connectModern('modern')];
  for (const client of clients) await client.listTools();
  let isOver = false;
  const restarted = gateway.restart().finally(() => {
    isOver = true;
  });
  let calls = 0;
  while (!isOver || calls < 10) {
    for (const client of clients) expect(textOf(await client.callTool(greet))).toBe('Hello, Bob!');
    calls += 1;
  }
  await restarted;
  for (const client of clients) await client.close();
});

test('people call, read and get prompts, and each call is in the audit', async () => {
  expect((await mcp(['ls', 'legacy', '-o', 'name'])).stdout).toContain('greet\n');
  expect(await mcp(['call', 'greet', '--toolset', 'modern', 'name=Ada'])).toEqual({ code: 0, stdout: 'Hello, Ada!\n', stderr: '' });
  expect((await mcp(['call', 'default__modern__greet', 'name=Ada'])).stdout).toBe('Hello, Ada!\n');
  expect((await mcp(['read', 'test://static-text', '--toolset', 'legacy'])).stdout).toContain('static text');
  expect((await mcp(['prompt', 'test_simple_prompt', '--toolset', 'modern'])).code).toBe(0);
  await pollUntil(async () => (await gateway.audit({ action: 'callTool' })).some(({ tool }) => tool === 'greet'), 'the audit row');
});

const declareFound = async (): Promise<void> => {
  const spec = { servers: [{ name: 'modern' }], naming: 'plain', expose: 'search' };
  await gateway.apply({ kind: 'Toolset', metadata: { name: 'found' }, spec });
  await gateway.ready('found');
};

test('people find a tool of a toolset that exposes search, and call it by its two tools', async () => {
  await declareFound();
  expect((await mcp(['ls', 'found', '-o', 'name'])).stdout).toMatch(/^call_tool\nfind_tool\n/);
  expect((await mcp(['call', 'find_tool', '--toolset', 'found', 'query=greet', 'limit=1'])).stdout).toContain('"name":"greet"');
  expect((await mcp(['call', 'call_tool', '--toolset', 'found', 'name=greet', 'arguments={"name":"Bob"}'])).stdout).toBe('Hello, Bob!\n');
});

test('a tool of a toolset that exposes search is called by its own name too, which no list has', async () => {
  await declareFound();
  expect(await mcp(['call', 'greet', '--toolset', 'found', 'name=Eve'])).toEqual({ code: 0, stdout: 'Hello, Eve!\n', stderr: '' });
  expect((await mcp(['call', 'default__found__greet', 'name=Eve'])).stdout).toBe('Hello, Eve!\n');
  expect(await mcp(['call', 'nothing', '--toolset', 'found'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no tool nothing'),
  });
});

test('who may not use a toolset is told so, and a toolset that is not there is none', async () => {
  expect(await mcp(['ls', 'legacy'], guestToken)).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringContaining('There are no tools here'),
  });
  expect(await mcp(['call', 'greet', '--toolset', 'legacy'], guestToken)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('There is no tool greet'),
  });
  expect(await mcp(['ls', 'nowhere'])).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no such toolset') });
  expect(await mcp(['ls'], 'qd_wrong')).toMatchObject({ code: 1, stderr: expect.stringContaining('does not accept the token') });
});
