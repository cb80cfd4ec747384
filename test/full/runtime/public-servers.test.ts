import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ReadyInstance, ServerLaunchInput } from '../../../schema/server-launch.ts';
import { type HostHarness, isAlive, startTestHost, until } from '../../runtime/support/host-harness.ts';

let host: HostHarness;
beforeAll(async () => {
  host = await startTestHost({ isCaged: true });
});
afterAll(() => host.close());

const everything = (id: string, changes: Partial<ServerLaunchInput> = {}): ServerLaunchInput => ({
  id,
  digest: 'x',
  program: { kind: 'npm', package: '@modelcontextprotocol/server-everything' },
  args: ['stdio'],
  ...changes,
});
const start = async (launch: ServerLaunchInput): Promise<ReadyInstance> => {
  const ready = (await (await host.ensure(launch)).json()) as ReadyInstance;
  expect(ready).toMatchObject({ state: 'ready', isolation: 1, era: 'legacy' });
  return ready;
};

type Capabilities = NonNullable<ConstructorParameters<typeof Client>[1]>['capabilities'];
const connect = async (id: string, capabilities: Capabilities = {}, prepare: (client: Client) => void = () => {}) => {
  const client = new Client({ name: 'test', version: '1.0.0' }, { capabilities });
  prepare(client);
  const address = new URL(`${host.address}${host.pathOf(id, '/mcp')}`);
  const transport = new StreamableHTTPClientTransport(address, { requestInit: { headers: { authorization: 'Bearer internal-key' } } });
  await client.connect(transport);
  return { client, end: () => transport.terminateSession().then(() => client.close()) };
};
const textOf = (answer: unknown) => (answer as { content: { text: string }[] }).content.map(({ text }) => text).join('\n');

describe('server-everything', () => {
  test('one per session: it asks its client, and what it can offer depends on the client', async () => {
    const id = 'default/default/everything/one';
    const { pid } = await start(everything(id, { instance: 'session' }));
    const { client, end } = await connect(id, { elicitation: {}, sampling: {}, roots: { listChanged: true } }, (asked) => {
      asked.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { name: 'Ada', check: true } }));
      asked.setRequestHandler(CreateMessageRequestSchema, () => ({
        role: 'assistant' as const,
        model: 'm',
        content: { type: 'text' as const, text: 'from a model' },
      }));
      asked.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///work', name: 'work' }] }));
    });
    await until(async () => (await client.listTools()).tools.some(({ name }) => name === 'get-roots-list'), 'its roots are known');
    expect(textOf(await client.callTool({ name: 'trigger-elicitation-request', arguments: {} }))).toContain('Ada');
    expect(textOf(await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'p', maxTokens: 5 } }))).toContain(
      'from a model',
    );
    expect(textOf(await client.callTool({ name: 'get-roots-list', arguments: {} }))).toContain('file:///work');
    await end();
    expect(isAlive(pid)).toBe(false);
  });

  test('shared: its prompts, resources and completions, and updates for those alone who subscribed', async () => {
    const id = 'default/default/everything';
    await start(everything(id));
    const updates: [string[], string[]] = [[], []];
    const [one, other] = await Promise.all(
      updates.map((list) =>
        connect(id, {}, (client) =>
          client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void list.push(params.uri)),
        ),
      ),
    );
    if (!one || !other) throw new Error('no clients');
    expect((await one.client.listPrompts()).prompts.length).toBeGreaterThan(1);
    const { resourceTemplates } = await one.client.listResourceTemplates();
    expect(resourceTemplates.length).toBeGreaterThan(0);
    const { completion } = await one.client.complete({
      ref: { type: 'ref/prompt', name: 'completable-prompt' },
      argument: { name: 'department', value: 'E' },
    });
    expect(completion.values).toContain('Engineering');
    const uri = 'demo://resource/dynamic/text/1';
    expect((await one.client.readResource({ uri })).contents).toHaveLength(1);
    await one.client.subscribeResource({ uri });
    await one.client.callTool({ name: 'toggle-subscriber-updates', arguments: {} });
    await until(() => updates[0].includes(uri), 'the subscriber is told');
    expect(updates[1]).toEqual([]);
    await Promise.all([one.end(), other.end()]);
  });

  test('its log messages come on the stream of its one client', async () => {
    const id = 'default/default/everything/logs';
    await start(everything(id, { instance: 'session' }));
    const logged: unknown[] = [];
    const { client, end } = await connect(id, {}, (hearing) =>
      hearing.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logged.push(params.data)),
    );
    await client.setLoggingLevel('debug');
    await client.callTool({ name: 'toggle-simulated-logging', arguments: {} });
    await until(() => logged.length > 0, 'a message comes');
    await end();
  });
});

test('server-filesystem, one per session: the client says by its roots which folders it means', async () => {
  const id = 'default/default/files/key';
  const folder = join(host.folder, 'roots');
  await mkdir(join(folder, 'inner'), { recursive: true });
  await writeFile(join(folder, 'inner/a.txt'), 'inside');
  await writeFile(join(folder, 'b.txt'), 'outside');
  await start({
    id,
    digest: 'x',
    instance: 'session',
    program: { kind: 'npm', package: '@modelcontextprotocol/server-filesystem' },
    args: ['/input'],
    volumes: [{ hostPath: folder, at: '/input', mode: 'ro' }],
  });
  const { client, end } = await connect(id, { roots: {} }, (asked) =>
    asked.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///input/inner' }] })),
  );
  const allowed = async () => textOf(await client.callTool({ name: 'list_allowed_directories', arguments: {} }));
  await until(async () => (await allowed()).includes('/input/inner'), 'its roots are in force');
  expect(textOf(await client.callTool({ name: 'read_text_file', arguments: { path: '/input/inner/a.txt' } }))).toContain('inside');
  expect(textOf(await client.callTool({ name: 'read_text_file', arguments: { path: '/input/b.txt' } }))).toContain('denied');
  await end();
});

test('server-memory, shared: what one client writes another reads, also after the process was killed', async () => {
  const id = 'default/default/memory';
  const folder = join(host.folder, 'memory');
  await mkdir(folder);
  const { pid } = await start({
    id,
    digest: 'x',
    program: { kind: 'npm', package: '@modelcontextprotocol/server-memory' },
    env: { MEMORY_FILE_PATH: '/data/memory.jsonl' },
    mounts: [{ source: folder, at: '/data', mode: 'rw' }],
  });
  const [one, other] = await Promise.all([connect(id), connect(id)]);
  const entities = [{ name: 'Ada', entityType: 'person', observations: ['likes engines'] }];
  await one.client.callTool({ name: 'create_entities', arguments: { entities } });
  const read = async () => textOf(await other.client.callTool({ name: 'read_graph', arguments: {} }));
  expect(await read()).toContain('likes engines');
  process.kill(pid, 'SIGKILL');
  await until(() => !isAlive(pid), 'it is gone');
  await until(
    () =>
      read().then(
        (text) => text.includes('likes engines'),
        () => false,
      ),
    'it is back, with what it knew',
  );
  await Promise.all([one.end(), other.end()]);
});
