import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { getApproval } from '../../store/approvals.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { approvalEvent } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { startHoldableWire } from '../support/holdable-wire.ts';
import { pollUntil } from '../support/poll-until.ts';
import { guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let wire: Awaited<ReturnType<typeof startHoldableWire>>;
let child: Awaited<ReturnType<typeof startGatewayProcess>>;

beforeAll(async () => {
  server = await startCountingServer();
  wire = await startHoldableWire(server.port);
  gateway = await startRunningGateway();
  const cedar = `@approve("role:reviewer") forbid (principal, action == Quarterdeck::Action::"callTool", resource)
when { !resource.hints.readOnly } unless { context.approvedCall };`;
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: wire.url, timeoutSeconds: 20 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'guests' }, spec: { subjects: [{ group: 'guests' }], toolsets: ['counting'] } },
    { kind: 'PolicySet', metadata: { name: 'asking' }, spec: { cedar } },
  );
  await gateway.ready('counting');
  await gateway.stop();
  child = await startGatewayProcess(gateway.config);
});
afterAll(async () => {
  await child.kill();
  await gateway.close();
  wire.close();
  await server.close();
});

const call = async (operationId: string, name = 'act') => {
  const response = await fetch(`${gateway.publicUrl}/mcp/default/default/counting`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${guestToken}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'idempotency-key': operationId,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  return JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')) as any;
};

/** An approved call of an operation. @returns its approval's id */
const approved = async (operationId: string): Promise<string> => {
  await call(`${operationId}/warm`, 'look'); // the connection stands, so that nothing but the call is under way
  const { approvalId: id } = (await call(operationId)).error.data;
  const key = { ...defaultTenancy, id };
  const { digest, rules } = await getApproval(gateway.database, key);
  const answer = {
    person: 'rita',
    verdict: 'approve' as const,
    digest,
    policies: rules.map(({ policy }) => policy),
    stamp: 't',
    comment: null,
  };
  await decideApproval(
    gateway.database,
    openAuditLog(gateway.database),
    key,
    { ...answer, decisionId: 'dec_r' },
    approvalEvent('approve'),
    { mayApproveOwn: false },
  );
  return id;
};
const stateOf = async (id: string) => (await getApproval(gateway.database, { ...defaultTenancy, id })).state;

test('a gateway killed between using the approval up and sending leaves the operation unknown, and it never runs', async () => {
  const operationId = 'op-killed-before-sending';
  const id = await approved(operationId);
  const before = server.countOf('act');
  wire.state.holds = true;
  const lost = call(operationId).catch(() => 'lost');
  await gateway.auditRow((row) => row.operationId === operationId && row.kind === 'intent');
  await child.kill();
  expect(await lost).toBe('lost');
  wire.state.holds = false;
  child = await startGatewayProcess(gateway.config);
  expect((await call(operationId)).error.data.code).toBe('operation_unknown');
  expect((await call(operationId)).error.data.code).toBe('operation_unknown');
  expect(server.countOf('act')).toBe(before);
  expect(await stateOf(id)).toBe('consumed');
});

test('a gateway killed between using the approval up and its intent has sent nothing, so the same operation runs once', async () => {
  const operationId = 'op-killed-before-intent';
  const id = await approved(operationId);
  const before = server.countOf('act');
  const locker = new pg.Client({ connectionString: gateway.config.databaseUrl });
  await locker.connect();
  await locker.query('begin; lock table operations in exclusive mode');
  const lost = call(operationId).catch(() => 'lost');
  await pollUntil(async () => ((await stateOf(id)) === 'consumed' ? true : undefined), 'the approval to be used up');
  await child.kill();
  expect(await lost).toBe('lost');
  // a statement that waits outlives its client: with the machine of a killed process its connection goes too
  await gateway.database.$client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  await locker.query('rollback');
  await locker.end();
  child = await startGatewayProcess(gateway.config);
  const ran = await call(operationId);
  expect(ran.result.content[0].text).toContain('of act');
  expect(await call(operationId)).toEqual(ran);
  expect(server.countOf('act')).toBe(before + 1);
});

test('a database that goes away while the approval is being used up refuses for the moment, and the same operation runs once', async () => {
  const operationId = 'op-database-away';
  const id = await approved(operationId);
  const before = server.countOf('act');
  const locker = new pg.Client({ connectionString: gateway.config.databaseUrl });
  await locker.connect();
  await locker.query('begin');
  await locker.query('select 1 from approvals where id = $1 for update', [id]);
  const first = call(operationId);
  await pollUntil(async () => {
    const { rowCount } = await gateway.database.$client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ilike '%approvals%'`,
    );
    return rowCount ? true : undefined;
  }, 'the update to wait for the row');
  expect((await first).error.data).toMatchObject({ code: 'store_unavailable', retryable: true });
  await locker.query('rollback');
  await locker.end();
  const ran = await call(operationId);
  expect(ran.result.content[0].text).toContain('of act');
  expect(await call(operationId)).toEqual(ran);
  expect(server.countOf('act')).toBe(before + 1);
});
