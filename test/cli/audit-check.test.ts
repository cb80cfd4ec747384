import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { type CliOptions, runCli } from '../support/run-cli.ts';
import { adminToken, guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';

const traceId = 'ab'.repeat(16);
const read: NewAuditEvent = {
  org: 'default',
  project: 'default',
  kind: 'call',
  action: 'callTool',
  decision: 'allow',
  decisionId: 'dec_1',
  policies: ['survey/read'],
  policyVersion: '0123456789abcdef',
  argumentsDigest: 'digest',
  traceId,
  person: 'kim',
  agent: 'default/default/survey/run_0000000000000001/read/reader/0',
  role: 'reader',
  fleet: 'survey',
  run: 'run_0000000000000001',
  toolset: 'survey-read',
  server: 'files',
  tool: 'read_text_file',
  outcome: 'ok',
  durationMs: 12.4,
  facts: { bytes: 20, paths: ['/input/src/a.ts'] },
};

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi();
  await api.audit.append(api.database, [
    read,
    { ...read, decision: 'deny', kind: 'refusal', outcome: 'refused', errorCode: 'argument_refused', durationMs: null },
    { ...read, person: 'lee', action: 'invokeModel', tool: null, model: 'small', facts: {} },
  ]);
});
afterAll(() => api.close());

const qd = (args: string[], { env }: CliOptions = {}) =>
  runCli(args, { env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: adminToken, ...env } });
const linesOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    // biome-ignore lint/suspicious/noExplicitAny: looked at field by field
    .map((line) => JSON.parse(line) as any);

test('verify ends with 0 and says how much there is', async () => {
  expect(await qd(['audit', 'verify'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(
      'The audit is as it was written: 3 rows in 1 commit of 1 chain, 0 checkpoints.\nNot signed yet: 3 rows',
    ),
  });
  await api.takeCheckpoints();
  expect((await qd(['audit', 'verify'])).stdout).toContain(`writer ${api.audit.writer}, epoch 1: unclosed after commit 1 of `);
  expect((await qd(['audit', 'verify'])).stdout).not.toContain('Not signed');
  const found = JSON.parse((await qd(['audit', 'verify', '-o', 'json'])).stdout);
  expect(found).toMatchObject({ ok: true, rows: 3, checkpoints: 1, hasOutsideCopy: true, unsignedRows: 0, breaches: [] });
  expect(found.unclosed).toHaveLength(1);
});

test('export writes every row as it is, with who it was, and filters as query does', async () => {
  const rows = linesOf((await qd(['audit', 'export'])).stdout);
  expect(rows.map(({ person }) => person)).toEqual(['kim', 'kim', 'lee']);
  expect(rows[0]).toMatchObject({ ...read, writer: api.audit.writer, epoch: 1, link: 1, position: 1 });
  expect(linesOf((await qd(['audit', 'export', '--person', 'lee'])).stdout)).toHaveLength(1);
  expect(linesOf((await qd(['audit', 'query', '--trace', traceId, '-o', 'jsonl'])).stdout)).toHaveLength(3);
});

test('export as OCSF writes events of API Activity 1.6.0 with all that the class requires', async () => {
  const [allowed, refused, model] = linesOf((await qd(['audit', 'export', '-o', 'ocsf'])).stdout);
  for (const event of [allowed, refused, model]) {
    expect(event).toMatchObject({ class_uid: 6003, category_uid: 6, type_uid: 600_399, metadata: { version: '1.6.0' } });
    // required by the class: who, what was called, from where, when, how grave, by which product
    for (const name of ['activity_id', 'actor', 'api', 'src_endpoint', 'time', 'severity_id', 'metadata', 'type_uid'])
      expect(event, name).toHaveProperty(name);
    expect(event.api.operation).toBeTypeOf('string');
    expect(event.metadata.product.vendor_name).toBeTypeOf('string');
  }
  expect(allowed).toMatchObject({
    status_id: 1,
    action_id: 1,
    actor: {
      user: { uid: 'kim' },
      app_name: 'reader',
      session: { uid: read.run },
      authorizations: [{ decision: 'allow', policy: { uid: 'survey/read', version: '0123456789abcdef' } }],
    },
    metadata: { correlation_uid: traceId },
    resources: [{ type: 'tool', name: 'read_text_file' }],
    unmapped: { arguments_digest: 'digest', chain: { link: 1 } },
  });
  expect(refused).toMatchObject({ status_id: 2, status_code: 'argument_refused', action_id: 2, disposition_id: 2 });
  expect(model).toMatchObject({ resources: [{ type: 'model', name: 'small' }] });
});

test('an erased person is found by nobody any more, and the audit still verifies', async () => {
  expect(await qd(['audit', 'erase-person', 'kim'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
  const { code, stdout } = await qd(['audit', 'erase-person', 'kim', '--yes']);
  expect(code).toBe(0);
  const pseudonym = stdout.trim();
  expect(pseudonym).toMatch(/^psn_/);
  expect((await qd(['audit', 'query', '--person', 'kim'])).stderr).toBe('No row of the audit is like that.\n');
  const rows = linesOf((await qd(['audit', 'export'])).stdout);
  expect(rows.map(({ person }) => person)).toEqual([pseudonym, pseudonym, 'lee', 'admin']);
  expect(rows[3]).toMatchObject({ action: 'erasePerson', facts: { pseudonym } });
  // not in the database either, in whatever column
  const { rows: tables } = await api.database.$client.query(
    'select (select string_agg(e::text, chr(10)) from audit_events e) as events, (select string_agg(p::text, chr(10)) from audit_people p) as people',
  );
  expect(JSON.stringify(tables)).not.toContain('kim');
  expect((await qd(['audit', 'verify'])).code).toBe(0);
  expect(await qd(['audit', 'erase-person', 'kim', '--yes'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Nobody called kim'),
  });
});

test('whoever is not allowed to reads, checks, exports and erases nothing, and the refusal is recorded', async () => {
  const env = { QUARTERDECK_TOKEN: guestToken };
  for (const command of [['verify'], ['export'], ['erase-person', 'lee', '--yes']])
    expect((await qd(['audit', ...command], { env })).code, command[0]).toBe(4);
  api.refusals.add('erasePerson');
  expect((await qd(['audit', 'erase-person', 'lee', '--yes'], { env: { QUARTERDECK_TOKEN: reviewerToken } })).code).toBe(4);
  api.refusals.delete('erasePerson');
  const refused = linesOf((await qd(['audit', 'query', '--decision', 'deny', '--action', 'erasePerson', '-o', 'jsonl'])).stdout);
  expect(refused.map(({ person }) => person)).toEqual(['guest', 'reviewer']);
});

test('callers that nobody knows are counted by source and minute', async () => {
  for (let index = 0; index < 20; index += 1)
    await fetch(`${api.url}/api/v1alpha1/whoami`, { headers: { authorization: `Bearer ${'x'.repeat(20)}` } });
  await api.unknownCallers.close();
  const counted = linesOf((await qd(['audit', 'query', '--action', 'authenticate', '-o', 'jsonl'])).stdout);
  expect(counted.reduce((sum, { facts }) => sum + facts.count, 0)).toBe(20);
  expect(counted.length).toBeLessThan(3);
  expect(counted[0]).toMatchObject({ errorCode: 'token_refused', facts: { door: 'api', source: '127.0.0.1' } });
});

test('an exported chain verifies offline, with the key of an earlier export; a changed row is said with exit code 1, no export with 2', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-export-'));
  const file = join(folder, 'audit.jsonl');
  const offline = (...args: string[]) => runCli(['audit', 'verify', '--file', ...args]);
  try {
    await api.takeCheckpoints();
    const { code, stdout } = await qd(['audit', 'export', '-o', 'chain']);
    expect(code).toBe(0);
    writeFileSync(file, stdout);
    const checked = await offline(file);
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('The audit is as it was written: ') });
    expect(checked.stdout).toContain("is the export's own: compare it with one that you trust");
    expect((await offline(file, '--key', file)).stdout).toContain('is the one you trust.');
    const changed = join(folder, 'changed.jsonl');
    writeFileSync(changed, stdout.replace('"tool":"read_text_file"', '"tool":"write_file"'));
    expect(await offline(changed)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^row-changed {2}row \d+, writer .* does not say what was written at/m),
    });
    writeFileSync(changed, stdout.split('\n').slice(0, -3).join('\n'));
    expect(await offline(changed)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('the export has no end: it was cut off after line'),
    });
    writeFileSync(changed, '{"sequence":1}\n');
    expect(await offline(changed)).toMatchObject({ code: 2, stderr: expect.stringContaining('does not begin like an export') });
    expect(await offline(join(folder, 'nothing'))).toMatchObject({ code: 2 });
    expect(await offline(file, '--key', changed)).toMatchObject({ code: 2, stderr: expect.stringContaining('is no public key') });
    expect((await qd(['audit', 'export', '-o', 'chain'], { env: { QUARTERDECK_TOKEN: guestToken } })).code).toBe(4);
    expect((await qd(['audit', 'export', '-o', 'chain', '--person', 'lee'])).code).toBe(2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('verify ends with 1 and names the first bad row, its writer and why', async () => {
  const client = await api.database.$client.connect();
  await client.query('set session_replication_role = replica');
  const { rows } = await client.query(
    `update audit_events set outcome = 'ok', decision = 'allow' where error_code = 'argument_refused' returning sequence`,
  );
  await client.query('reset session_replication_role');
  client.release();
  const { code, stdout } = await qd(['audit', 'verify']);
  expect(code).toBe(1);
  const [first] = stdout.split('\n');
  expect(first).toMatch(
    new RegExp(
      `^row-changed  row ${rows[0].sequence}, writer ${api.audit.writer}, epoch 1, commit 1: row ${rows[0].sequence} does not say what`,
    ),
  );
  expect(stdout).toContain('The audit was changed');
});
