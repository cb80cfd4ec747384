import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { defaultTenancy } from '../../schema/ids.ts';
import { deleteDefinitions } from '../../store/definitions.ts';
import { offerTools } from '../support/offer-tools.ts';
import { runCli } from '../support/run-cli.ts';
import { guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';
import { server } from '../support/sample-resources.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi();
  await api.apply(server('files'), server('empty'));
});
afterAll(() => api.close());
beforeEach(async () => {
  await deleteDefinitions(api.database, { ...defaultTenancy, server: 'files' });
  await offerTools(api.database, 'files', { name: 'read', description: 'Reads.' }, { name: 'write' });
});

const qd = (args: string[], token = reviewerToken) => runCli(args, { env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: token } });
const pins = (...args: string[]) => qd(['server', 'pins', ...args]);

test('lists servers with what is in force of them and what waits', async () => {
  await offerTools(api.database, 'files', { name: 'read', description: 'Writes.' }, { name: 'write' });
  const { stdout } = await qd(['server', 'ls']);
  expect(stdout.split('\n')[0]?.split(/ {2,}/)).toEqual(['NAME', 'READY', 'SOURCE', 'AGE', 'IN FORCE', 'WAITING', 'WHY']);
  expect(stdout).toMatch(/^files +Unknown .* +1 +1 +-$/m);
  expect(JSON.parse((await qd(['server', 'ls', '-o', 'json'])).stdout).items[1].definitions).toEqual({ approved: 1, waiting: 1 });
});

test('lists what is pinned, in each format', async () => {
  const { stdout } = await pins('ls');
  expect(stdout).toMatch(/^SERVER +KIND +NAME +STATE +BY +HASH +REMARKS\nfiles +tool +read +approved +apply +[0-9a-f]{12} +-$/m);
  expect((await pins('ls', 'files', '-o', 'name')).stdout).toBe('tool/read\ntool/write\n');
  expect(JSON.parse((await pins('ls', 'files', '-o', 'json')).stdout).pins).toHaveLength(2);
  expect(parse((await pins('ls', 'files', '-o', 'yaml')).stdout).pins[0]).toMatchObject({ name: 'read', state: 'approved' });
  expect((await pins('ls', 'files', '--state', 'changed')).stderr).toContain('Nothing like that is pinned');
  expect((await pins('ls', 'nowhere')).code).toBe(1);
});

test('shows a change as a unified diff with every character to be seen, and ends with 3', async () => {
  expect(await pins('diff')).toMatchObject({ code: 0, stdout: '', stderr: 'Everything is in force as it is offered.\n' });
  await offerTools(api.database, 'files', { name: 'read', description: 'Reads.\u{E0041}\u202e' }, { name: 'write' }, { name: 'new' });
  const { code, stdout } = await pins('diff', 'files', 'read');
  expect(code).toBe(3);
  expect(stdout).toMatch(/^# files\/tool\/read: changed, hash [0-9a-f]{64}$/m);
  expect(stdout).toContain('# ISSUE: hidden characters in description: \\u{E0041}\\u{202E}\n');
  expect(stdout).toContain('--- approved/files/tool/read\n+++ offered/files/tool/read\n');
  expect(stdout).toContain('\n-  "description": "Reads.",\n+  "description": "Reads.\\u{E0041}\\u{202E}",\n');
  const all = await pins('diff');
  expect(all.stdout).toContain('--- /dev/null\n+++ offered/files/tool/new\n');
  expect(JSON.parse((await pins('diff', '-o', 'json')).stdout).pins).toHaveLength(2);
});

test('accepts by name, by hash and all at once', async () => {
  await offerTools(api.database, 'files', { name: 'read', description: 'Writes.' }, { name: 'more' });
  expect((await pins('accept', 'files')).code).toBe(2);
  expect(await pins('accept', 'files', 'read')).toMatchObject({ code: 2, stderr: expect.stringContaining('say --yes') });
  expect((await pins('accept', 'files', 'read', '--yes', '--hash', '0123456789ab')).stderr).toContain('has changed since you looked');
  const hash = /hash ([0-9a-f]+)/.exec((await pins('diff', 'files', 'read')).stdout)?.[1] ?? '';
  expect(await pins('accept', 'files', 'read', '--yes', '--hash', hash)).toEqual({ code: 0, stdout: 'tool/read accepted\n', stderr: '' });
  expect((await pins('accept', 'files', '--all', '--yes')).stdout).toBe('tool/more accepted\ntool/write forgotten\n');
  expect((await pins('accept', 'files', '--all', '--yes')).stderr).toContain('There is nothing to accept');
  expect((await pins('accept', 'files', 'nothing', '--yes')).stderr).toContain('has nothing named nothing');
});

test('accepts what has issues only with --accept-issues, and ends with 4 for whoever may not', async () => {
  await offerTools(api.database, 'files', { name: 'read', description: 'Reads.' }, { name: 'write' }, { name: 'Read' });
  const refused = await pins('accept', 'files', 'Read', '--yes');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('the name looks like read') });
  expect((await qd(['server', 'pins', 'ls', 'files'], guestToken)).code).toBe(4);
  api.refusals.add('approveServer');
  expect((await pins('accept', 'files', 'Read', '--yes', '--accept-issues')).code).toBe(4);
  api.refusals.delete('approveServer');
  expect((await pins('accept', 'files', 'Read', '--yes', '--accept-issues')).stdout).toBe('tool/Read accepted\n');
});
