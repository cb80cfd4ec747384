import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createAuditSigner, makeAuditKey } from '../../store/audit-key.ts';
import { verifyAudit } from '../../store/audit-verify.ts';
import { callHeaders } from '../support/call-headers.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let keeper: pg.Client;

beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await gateway.ready('counting');
  keeper = new pg.Client({ connectionString: gateway.config.databaseUrl, options: '-c default_transaction_read_only=off' });
  await keeper.connect();
});
afterAll(async () => {
  await keeper.end();
  await gateway.close();
  await server.close();
});

/** A setting of the whole database, for all who connect from now on; whoever is connected connects anew. */
const setForAll = async (setting: string, value: string | undefined): Promise<void> => {
  const { rows } = await keeper.query('select current_database() as name');
  await keeper.query(`alter database "${rows[0].name}" ${value === undefined ? `reset ${setting}` : `set ${setting} = ${value}`}`);
  await keeper.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
};

afterEach(async () => {
  await keeper.query('rollback');
  for (const setting of ['default_transaction_read_only', 'lock_timeout']) await setForAll(setting, undefined);
});

const call = async (operationId: string, name = 'act') => {
  const response = await fetch(`${gateway.publicUrl}/mcp/counting`, {
    method: 'POST',
    headers: callHeaders(adminToken, operationId),
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  return JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')) as any;
};

test('a database that may be read alone is one that is away: no effect, whoever calls hears that it may be tried again, and so it can be', async () => {
  const operationId = `op-${randomUUID()}`;
  expect((await call(`${operationId}-before`)).result).toBeDefined();
  const before = server.countOf('act');
  // as a standby is before it takes over: whoever connects may read, and nobody may write
  await setForAll('default_transaction_read_only', 'on');
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const { error } = await call(operationId);
    expect(error?.data).toMatchObject({ code: 'store_unavailable', retryable: true });
  }
  expect(server.countOf('act')).toBe(before);
  // what only reads may be answered, and is on record afterwards
  const looked = await call(`${operationId}-look`, 'look');
  await setForAll('default_transaction_read_only', undefined);
  await pollUntil(async () => (await call(operationId)).result !== undefined || undefined, 'the same operation to run');
  expect(server.countOf('act')).toBe(before + 1);
  if (looked.result) await gateway.auditRow((row) => row.operationId === `${operationId}-look`);
});

test('rows of the audit that a lock keeps from being written wait for it, and none is given up', async () => {
  await setForAll('lock_timeout', "'20ms'");
  await keeper.query('begin; lock table audit_events in exclusive mode');
  const ids = Array.from({ length: 5 }, (_, index) => `op-${randomUUID()}-${index}`);
  const answered: string[] = [];
  for (const id of ids) if ((await call(id, 'look')).result) answered.push(id);
  expect(answered.length).toBeGreaterThan(0);
  // long enough for a commit of all, and of each alone, to be refused more than once
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await keeper.query('rollback');
  await setForAll('lock_timeout', undefined);
  for (const id of answered) await gateway.auditRow(({ operationId }) => operationId === id);
  const found = await verifyAudit({ database: gateway.database, verifier: createAuditSigner(makeAuditKey()) });
  expect(found).toMatchObject({ ok: true, breaches: [] });
});
