import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { setCondition } from '../../store/resources.ts';
import { type CliOptions, runCli, startCli } from '../support/run-cli.ts';
import { adminToken, type RunningApi, startRunningApi } from '../support/running-api.ts';
import { project, role, server, wholeFleet } from '../support/sample-resources.ts';

let api: RunningApi;
let folder: string;
beforeAll(async () => {
  api = await startRunningApi();
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-cli-'));
  await api.apply(...wholeFleet(), project('payments'), server('ledger', { project: 'payments' }));
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const qd = (args: string[], { env, ...options }: CliOptions = {}) =>
  runCli(args, { cwd: folder, env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: adminToken, ...env }, ...options });
const file = (name: string, documents: unknown[]): string => {
  writeFileSync(join(folder, name), documents.map((document) => stringify(document)).join('---\n'));
  return name;
};

test('lists a kind as a table, by any spelling of its name', async () => {
  const { code, stdout } = await qd(['get', 'agentroles']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^NAME {4}READY {2}MODEL {2}TOOLSET {2}AGE\nreader {2}True {3}small {2}read {5}\d+s\n$/);
  for (const spelling of [['AgentRole', 'reader'], ['agentrole/reader']])
    expect((await qd(['get', ...spelling, '-o', 'name'])).stdout).toBe('agentrole/reader\n');
});

test('shows everything of a project, and of another one', async () => {
  const { stdout } = await qd(['get', 'all', '-o', 'name']);
  expect(stdout.split('\n').filter(Boolean).sort()).toEqual([
    'agentrole/reader',
    'fleet/survey',
    'mcpserver/files',
    'model/small',
    'provider/local',
    'toolset/read',
  ]);
  expect((await qd(['get', 'all', '-p', 'payments', '-o', 'name'])).stdout).toBe('mcpserver/ledger\nproject/payments\n');
  expect((await qd(['get', 'projects', '-o', 'name'])).stdout).toBe('project/payments\n');
  expect((await qd(['get', 'all'])).stdout).toContain('toolset/read');
  expect((await qd(['get', 'policysets'])).stderr).toBe('Nothing of that kind is in default/default.\n');
});

test('prints YAML that can be applied again and holds nothing that was observed', async () => {
  const { stdout } = await qd(['get', 'all', '-o', 'yaml']);
  const documents = parseAllDocuments(stdout).map((document) => document.toJS());
  for (const document of documents) expect(Object.keys(document)).toEqual(['apiVersion', 'kind', 'metadata', 'spec']);
  const again = await qd(['apply', '-f', '-'], { input: stdout });
  expect(again.stdout.split('\n').filter((line) => line !== '' && !line.endsWith(' unchanged'))).toEqual([]);
  const elsewhere = await qd(['get', 'all', '-p', 'payments', '-o', 'yaml']);
  expect((await qd(['apply', '-f', '-'], { input: elsewhere.stdout })).stdout).toBe(
    'mcpserver/ledger in payments unchanged\nproject/payments unchanged\n',
  );
});

test('prints JSON with what was observed', async () => {
  const one = JSON.parse((await qd(['get', 'fleet', 'survey', '-o', 'json'])).stdout);
  expect(one).toMatchObject({ kind: 'Fleet', generation: 1, status: { observedGeneration: 1 } });
  expect(JSON.parse((await qd(['get', 'fleets', '-o', 'json'])).stdout).items).toHaveLength(1);
});

test('describes a resource with conditions and last changes', async () => {
  await api.apply(role('reader', { instructions: 'Read twice.' }));
  const { stdout } = await qd(['describe', 'agentrole', 'reader']);
  expect(stdout).toContain('AgentRole reader in default/default\ngeneration 2');
  expect(stdout).toContain('  instructions: Read twice.');
  expect(stdout).toMatch(/^Ready +True +ReferencesResolved/m);
  expect(stdout).toMatch(/^\d+s +admin +configured +2 +dec_yes$/m);
  await api.apply(role());
});

test('describes the schema of a kind without a platform', async () => {
  const { code, stdout } = await qd(['describe', 'schema', 'AgentRole'], { env: { QUARTERDECK_URL: '', QUARTERDECK_TOKEN: '' } });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ {2}instructions {2}string, needed$/m);
  expect(stdout).toMatch(/^ {4}steps {2}integer, default 12$/m);
  expect(JSON.parse((await qd(['describe', 'schema', 'Fleet', '-o', 'json'])).stdout).type).toBe('object');
});

test('shows what an apply would change, with exit code 3, and 0 when there is nothing', async () => {
  const changed = role('reader', { instructions: 'Skim.' });
  const { code, stdout } = await qd(['diff', '-f', file('changed.yaml', [changed, server('new')])]);
  expect(code).toBe(3);
  expect(stdout).toContain('--- stored/default/default/AgentRole/reader\n+++ given/default/default/AgentRole/reader\n@@ -');
  expect(stdout).toContain('\n-  instructions: Read.\n+  instructions: Skim.\n');
  expect(stdout).toContain('--- /dev/null\n+++ given/default/default/McpServer/new\n@@ -0,0 +1,');
  expect(await qd(['diff', '-f', file('same.yaml', wholeFleet())])).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('refuses to delete what is in use, and deletes a whole file in the right order', async () => {
  await api.apply(server('files-2'));
  const refused = await qd(['delete', 'model', 'small']);
  expect(refused).toMatchObject({ code: 1, stderr: 'Error: Model small is in use by AgentRole reader; change or delete that first.\n' });
  expect((await qd(['delete', 'mcpserver', 'files-2'])).stdout).toBe('mcpserver/files-2 deleted\n');
  expect((await qd(['delete', 'mcpserver', 'files-2'])).code).toBe(1);
  const whole = file('whole.yaml', wholeFleet());
  expect(await qd(['delete', '-f', whole])).toMatchObject({ code: 0, stderr: '' });
  const again = await qd(['delete', '-f', whole]);
  expect(again).toMatchObject({ code: 0, stdout: '' });
  expect(again.stderr).toContain('fleet/survey is not there');
  await api.apply(...wholeFleet());
});

test('waits for a condition and for a deletion', async () => {
  expect(await qd(['wait', 'fleet/survey', '--for=condition=Ready'])).toMatchObject({ code: 0, stdout: 'fleet/survey condition met\n' });
  await api.apply(server('slow'));
  const key = { org: 'default', project: 'default', kind: 'McpServer' as const, name: 'slow' };
  const waiting = startCli(['wait', 'mcpserver/slow', '--for=condition=Ready', '--timeout=20s'], {
    env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: adminToken },
  });
  const ready = { type: 'Ready', status: 'True' as const, reason: 'Connected', message: 'It answers.', observedGeneration: 1 };
  await setCondition(api.database, key, ready, api.clock.now);
  expect((await waiting.ended).code).toBe(0);
  const gone = startCli(['wait', 'mcpserver/slow', '--for=delete'], { env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: adminToken } });
  await qd(['delete', 'mcpserver/slow']);
  expect(await gone.ended).toMatchObject({ code: 0, stdout: 'mcpserver/slow deleted\n' });
});

test('ends with 6 when the time is over, and says what is missing', async () => {
  const { code, stderr } = await qd(['wait', 'mcpserver/files', '--for=condition=Ready', '--timeout=10ms']);
  expect(code).toBe(6);
  expect(stderr).toBe(
    'Error: The wait for McpServer files is over: nothing was observed of it yet. Next: quarterdeck describe mcpserver files\n',
  );
});

test.each([
  [['get', 'toolsett'], 'Error: There is no kind toolsett; did you mean Toolset?\n'],
  [['get', 'elephants'], 'Error: There is no kind elephants; there are Project, McpServer, Toolset'],
  [['wait', 'echo', '--for=delete'], 'Error: echo is not KIND/NAME, such as mcpserver/echo\n'],
  [
    ['wait', 'mcpserver/files', '--for=readiness'],
    'Error: --for=readiness is neither delete nor condition=TYPE, such as condition=Ready\n',
  ],
  [['wait', 'mcpserver/files', '--for=delete', '--timeout=soon'], 'Error: --timeout=soon is not a time such as 60s or 5m\n'],
  [['delete', 'mcpserver'], 'Error: Say which McpServer to delete: quarterdeck delete mcpserver NAME\n'],
  [['get', 'all', '-p', 'Not A Name'], 'Error: --project Not A Name is not a name'],
  [['get', 'all', '--as', 'nobody'], 'Error: --as nobody is not known; expected admin or reviewer\n'],
])('refuses %j as a wrong command line', async (args, message) => {
  const { code, stderr } = await qd(args);
  expect({ code, stderr: stderr.slice(0, message.length) }).toEqual({ code: 2, stderr: message });
});
