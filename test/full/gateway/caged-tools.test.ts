import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../../bench/gateway/free-port.ts';
import { startHost } from '../../../runtime/host/start-host.ts';
import { type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-caged-'));
const input = join(folder, 'input');
const output = join(folder, 'output');
let gateway: RunningGateway;
let host: { port: number; close(): Promise<void> };

const filesystem = (at: string) => ({ package: { npm: '@modelcontextprotocol/server-filesystem' }, args: [at], instance: 'run' });
const policy = `
@id("own-file") @advice("Read the file you were given.")
forbid (principal in Quarterdeck::AgentRole::"default/default/reader", action == Quarterdeck::Action::"callTool", resource)
unless { context.arguments.roots == ["input"] && principal.assignedPaths.containsAll(context.arguments.paths) };
@id("caged-only") @advice("The server must run in a cage.")
forbid (principal, action == Quarterdeck::Action::"callTool", resource) unless { resource.server.isolation >= 1 };`;

beforeAll(async () => {
  mkdirSync(join(input, 'src'), { recursive: true });
  mkdirSync(output);
  writeFileSync(join(input, 'src/a.ts'), 'content of a');
  writeFileSync(join(input, 'src/b.ts'), 'content of b');
  writeFileSync(join(input, '.env'), 'SECRET=1');
  writeFileSync(join(folder, 'outside.txt'), 'outside');
  symlinkSync(join(folder, 'outside.txt'), join(input, 'src/out.ts'));
  symlinkSync('b.ts', join(input, 'src/alias.ts'));
  const hostPort = await freePort();
  host = await startHost({
    port: hostPort,
    key: 'host-key',
    allowUncaged: false,
    packageRoot: fileURLToPath(new URL('../../../', import.meta.url)),
    nodePath: process.execPath,
    logDirectory: join(folder, 'logs'),
  });
  gateway = await startRunningGateway({ hostUrl: `http://127.0.0.1:${hostPort}`, hostKey: 'host-key' });
  await gateway.apply(
    {
      kind: 'McpServer',
      metadata: { name: 'in' },
      spec: { ...filesystem('/input'), volumes: [{ name: 'input', at: '/input', mode: 'ro', hide: ['.env'] }] },
    },
    {
      kind: 'McpServer',
      metadata: { name: 'out' },
      spec: { ...filesystem('/output'), volumes: [{ name: 'output', at: '/output', mode: 'rw' }] },
    },
    {
      kind: 'Toolset',
      metadata: { name: 'read' },
      spec: { servers: [{ name: 'in', tools: ['read_text_file', 'write_file', 'list_directory'] }], naming: 'plain' },
    },
    { kind: 'Toolset', metadata: { name: 'write' }, spec: { servers: [{ name: 'out', tools: ['write_file'] }], naming: 'plain' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'survey' },
      spec: { subjects: [{ agentRole: 'reader' }, { agentRole: 'scout' }], toolsets: ['read'] },
    },
    { kind: 'AccessBinding', metadata: { name: 'clerks' }, spec: { subjects: [{ agentRole: 'clerk' }], toolsets: ['write'] } },
    { kind: 'PolicySet', metadata: { name: 'survey' }, spec: { cedar: policy } },
  );
  await gateway.ready('read');
  await gateway.ready('write');
});
afterAll(async () => {
  await gateway.close();
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

const volumes = [
  { name: 'input', hostPath: input, mode: 'ro' as const },
  { name: 'output', hostPath: output, mode: 'rw' as const },
];

const call = async (agentId: string, toolset: string, name: string, argumentsOfCall: object) => {
  const audience = `${gateway.publicUrl}/mcp/default/default/${toolset}`;
  const response = await fetch(audience, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await gateway.mint(agentId, audience)}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: argumentsOfCall } }),
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  return JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')) as any;
};

describe('a public filesystem server in a cage, behind the gateway', () => {
  test('a reader reads exactly its own file, and the audit says which', async () => {
    const { id } = await gateway.addAgent({ volumes, assignedPaths: ['/input/src/a.ts'] });
    const answer = await call(id, 'read', 'read_text_file', { path: '/input/src/a.ts' });
    expect(answer.result.content[0].text).toContain('content of a');
    const row = await gateway.auditRow((event) => event.agent === id && event.tool === 'read_text_file');
    expect(row).toMatchObject({ decision: 'allow', facts: { paths: ['/input/src/a.ts'], isolation: 1 } });
    expect(JSON.stringify(await gateway.audit())).not.toContain('content of a');
  });

  test.each([
    ['another file', '/input/src/b.ts'],
    ['a dot-dot path to its own file', '/input/src/../src/a.ts'],
    ['a dot-dot path out of the folder', '/input/../etc/passwd'],
    ['a doubled slash', '/input//src/a.ts'],
    ['an encoded dot', '/input/src/%2e%2e/src/a.ts'],
    ['a link out of the folder', '/input/src/out.ts'],
    ['a link to another file', '/input/src/alias.ts'],
    ['a path of the host', '/etc/passwd'],
  ])('refuses the reader %s', async (_what, path) => {
    const { id } = await gateway.addAgent({ volumes, assignedPaths: ['/input/src/a.ts', '/input/src/alias.ts', '/input/src/out.ts'] });
    const answer = await call(id, 'read', 'read_text_file', { path });
    expect(answer.result).toBeUndefined();
    expect(answer.error.data).toMatchObject({ code: 'argument_refused', decisionId: expect.stringMatching(/^dec_/) });
    const row = await gateway.auditRow((event) => event.agent === id);
    expect(row).toMatchObject({ kind: 'refusal', decision: 'deny', errorCode: 'argument_refused' });
  });

  test('what is hidden is not there, and a read-only folder cannot be written, whatever policy allows', async () => {
    const { id } = await gateway.addAgent({ role: 'scout', volumes });
    const listing = await call(id, 'read', 'list_directory', { path: '/input' });
    expect(listing.result.content[0].text).toContain('src');
    const hidden = await call(id, 'read', 'read_text_file', { path: '/input/.env' });
    expect(JSON.stringify(hidden)).not.toContain('SECRET');
    const written = await call(id, 'read', 'write_file', { path: '/input/new.txt', content: 'x' });
    expect(written.result.isError).toBe(true);
  });

  test('a clerk writes to the output folder of its own run', async () => {
    const { id } = await gateway.addAgent({ role: 'clerk', volumes });
    const answer = await call(id, 'write', 'write_file', { path: '/output/survey.md', content: '# Survey' });
    expect(answer.result.isError).toBeFalsy();
    expect(readFileSync(join(output, 'survey.md'), 'utf8')).toBe('# Survey');
    await gateway.auditRow((row) => row.agent === id && row.kind === 'outcome');
    const kinds = (await gateway.audit({ agent: id })).filter((row) => row.action === 'callTool').map((row) => row.kind);
    expect(kinds).toEqual(['intent', 'outcome']);
  });

  test('a reader finds no tool of the clerk', async () => {
    const { id } = await gateway.addAgent({ volumes });
    expect((await call(id, 'write', 'write_file', { path: '/output/x', content: 'x' })).error.data.code).toBe('tool_unknown');
  });

  test('a run without the folder that a server mounts is told which one is missing', async () => {
    const { id } = await gateway.addAgent({ role: 'scout', volumes: [] });
    const answer = await call(id, 'read', 'list_directory', { path: '/input' });
    expect(answer.error).toMatchObject({ message: expect.stringContaining('`input`'), data: { code: 'input_invalid' } });
  });
});
