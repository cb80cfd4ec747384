import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { type CliOptions, runCli, startCli } from '../support/run-cli.ts';
import { adminToken, guestToken, type RunningApi, startRunningApi } from '../support/running-api.ts';

const agent = 'default/default/survey/run_0000000000000001/read/reader/0';
const read: NewAuditEvent = {
  org: 'default',
  project: 'default',
  kind: 'call',
  action: 'callTool',
  decision: 'allow',
  decisionId: 'dec_1',
  policies: ['survey/read'],
  person: 'admin',
  agent,
  role: 'reader',
  fleet: 'survey',
  run: 'run_0000000000000001',
  toolset: 'survey-read',
  server: 'files',
  tool: 'read_text_file',
  outcome: 'ok',
  durationMs: 12.4,
  facts: { paths: ['/input/src/a.ts'], hosts: [], bytes: 20 },
};

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi();
  await api.audit.append(api.database, [
    read,
    {
      ...read,
      decision: 'deny',
      kind: 'refusal',
      outcome: 'refused',
      errorCode: 'argument_refused',
      facts: { paths: ['/input/\u001b[2Jx'] },
      durationMs: null,
    },
    { ...read, action: 'invokeModel', tool: null, model: 'small', facts: {}, durationMs: 1900 },
  ]);
});
afterAll(() => api.close());

const place = ({ env }: CliOptions = {}): CliOptions => ({ env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: adminToken, ...env } });
const qd = (args: string[], options?: CliOptions) => runCli(args, place(options));

test('shows each call with agent, role, fleet, project, person, tool, path, decision, outcome and duration', async () => {
  const { code, stdout } = await qd(['audit', 'query', '--run', 'run_0000000000000001']);
  expect(code).toBe(0);
  const [head = '', first = '', second = '', third = ''] = stdout.split('\n');
  expect(head.split(/ +/)).toEqual([
    'TIME',
    'AGENT',
    'ROLE',
    'FLEET',
    'PROJECT',
    'PERSON',
    'ACTION',
    'TARGET',
    'FACTS',
    'DECISION',
    'OUTCOME',
    'TOOK',
  ]);
  expect(first).toMatch(
    / run_0000000000000001\/read\/reader\/0 +reader +survey +default +admin +callTool +read_text_file +\/input\/src\/a\.ts +allow +ok +12 ms$/,
  );
  expect(second).toContain('deny      refused:argument_refused');
  expect(third).toMatch(/invokeModel +small +- +allow +ok +2 s$/);
});

test('shows control characters of a path as what they are', async () => {
  const { stdout } = await qd(['audit', 'query', '--decision', 'deny']);
  expect(stdout).toContain('/input/\\u001b[2Jx');
  expect(stdout).not.toContain('\u001b');
});

test('filters, and prints for programs', async () => {
  const lines = (await qd(['audit', 'query', '--tool', 'read_text_file', '-o', 'jsonl'])).stdout.trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).decision)).toEqual(['allow', 'deny']);
  const { events } = JSON.parse((await qd(['audit', 'query', '--action', 'invokeModel', '--since', '1h', '-o', 'json'])).stdout);
  expect(events).toHaveLength(1);
  expect((await qd(['audit', 'query', '--role', 'nobody'])).stderr).toBe('No row of the audit is like that.\n');
});

test('refuses filters that it does not understand', async () => {
  expect(await qd(['audit', 'query', '--since', 'yesterday'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--since yesterday is neither'),
  });
  expect((await qd(['audit', 'query', '--kind', 'rumour'])).code).toBe(2);
  expect((await qd(['audit', 'query', '--limit', '0'])).code).toBe(1);
});

test('ends with 4 for whoever may not read the audit', async () => {
  expect((await qd(['audit', 'query'], { env: { QUARTERDECK_TOKEN: guestToken } })).code).toBe(4);
});

test('follows what comes, each row once, until it is interrupted', async () => {
  const command = startCli(['audit', 'tail', '--fleet', 'survey', '-o', 'jsonl'], place());
  const lines = () => command.text.stdout.split('\n').filter(Boolean);
  await vi.waitFor(() => expect(lines()).toHaveLength(3), { timeout: 20_000 });
  await api.audit.append(api.database, [
    { ...read, tool: 'list_directory' },
    { ...read, fleet: 'other' },
  ]);
  await vi.waitFor(() => expect(lines()).toHaveLength(4), { timeout: 20_000 });
  await api.audit.append(api.database, [{ ...read, tool: 'write_file' }]);
  await vi.waitFor(() => expect(lines()).toHaveLength(5), { timeout: 20_000 });
  command.child.kill('SIGINT');
  expect((await command.ended).code).toBe(130);
  expect(lines().map((line) => JSON.parse(line).tool ?? 'model')).toEqual([
    'read_text_file',
    'read_text_file',
    'model',
    'list_directory',
    'write_file',
  ]);
});
