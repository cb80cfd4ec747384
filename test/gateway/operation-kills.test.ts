import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCountingServer } from '../support/counting-server.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { startHoldableWire } from '../support/holdable-wire.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let wire: Awaited<ReturnType<typeof startHoldableWire>>;
let child: Awaited<ReturnType<typeof startGatewayProcess>>;

beforeAll(async () => {
  server = await startCountingServer();
  wire = await startHoldableWire(server.port);
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: wire.url, timeoutSeconds: 20 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
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

const call = async (token: string, name: string, operationId: string) => {
  const response = await fetch(`${gateway.publicUrl}/mcp/default/default/counting`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
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

const intentOf = (operationId: string) => gateway.auditRow((row) => row.operationId === operationId && row.kind === 'intent');
const statesOf = async (operationId: string) =>
  (await gateway.database.$client.query('select state from operations where id = $1', [operationId])).rows;

/** Kills the gateway with SIGKILL while the call stands at a point, starts it again, and asks for the same operation. */
const killAt = async (point: (operationId: string) => Promise<void>, afterwards: () => Promise<unknown> = async () => undefined) => {
  const { id } = await gateway.addAgent();
  const operationId = `${id}/op`;
  const token = await gateway.mint(id, `${gateway.publicUrl}/mcp/default/default/counting`);
  await call(token, 'look', `${id}/warm`); // the connection stands, so that nothing but the call is under way
  const before = server.countOf('act');
  const first = call(token, 'act', operationId).catch(() => 'lost');
  await point(operationId);
  await child.kill();
  await afterwards();
  expect(await first).toBe('lost');
  wire.state.holds = false;
  server.state.before = async () => undefined;
  child = await startGatewayProcess(gateway.config);
  const second = await call(token, 'act', operationId);
  const third = await call(token, 'act', operationId);
  return { executed: server.countOf('act') - before, second, third, operationId };
};

const expectUnknown = async ({ second, third, operationId }: Awaited<ReturnType<typeof killAt>>) => {
  expect(second.error.data).toMatchObject({ code: 'operation_unknown', retryable: false });
  expect(third.error.data.code).toBe('operation_unknown');
  expect(await statesOf(operationId)).toEqual([{ state: 'unknown' }]);
  const rows = (await gateway.audit()).filter((row) => row.operationId === operationId && row.kind !== 'call');
  expect(rows.map(({ kind, outcome }) => [kind, outcome])).toEqual([
    ['intent', 'pending'],
    ['outcome', 'unknown'],
  ]);
};

test('a gateway killed before the call is sent leaves it unknown, and it is executed zero times', async () => {
  const ended = await killAt(async (operationId) => {
    wire.state.holds = true;
    await intentOf(operationId);
  });
  expect(ended.executed).toBe(0);
  await expectUnknown(ended);
});

test('a gateway killed after the call is sent leaves it unknown, and it is executed once', async () => {
  const ended = await killAt(async () => {
    const before = server.countOf('act');
    let arrived = false;
    server.state.before = () => {
      arrived = true;
      return new Promise(() => undefined);
    };
    await pollUntil(() => arrived || server.countOf('act') > before || undefined, 'the call to arrive');
  });
  expect(ended.executed).toBe(1);
  await expectUnknown(ended);
});

test('a gateway killed before it settles leaves the call unknown, and it is executed once', async () => {
  const locker = new pg.Client({ connectionString: gateway.config.databaseUrl });
  await locker.connect();
  const holdAtSettle = async (operationId: string): Promise<void> => {
    let answer: (() => void) | undefined;
    server.state.before = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    await intentOf(operationId);
    await locker.query('begin');
    await locker.query('select 1 from operations where id = $1 for update', [operationId]);
    await pollUntil(() => answer !== undefined || undefined, 'the call to arrive');
    answer?.();
    await pollUntil(async () => {
      const waiting = await gateway.database.$client.query(
        `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ilike '%operations%'`,
      );
      return waiting.rowCount ? true : undefined;
    }, 'the settling to wait for the row');
  };
  const ended = await killAt(holdAtSettle, async () => {
    // a statement that waits outlives its client: with the machine of a killed process its connection goes too
    await gateway.database.$client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ilike '%operations%'`,
    );
    await locker.query('rollback');
  });
  await locker.end();
  expect(ended.executed).toBe(1);
  await expectUnknown(ended);
});

test('a read-only call that was cut off is simply made again', async () => {
  const { id } = await gateway.addAgent();
  const token = await gateway.mint(id, `${gateway.publicUrl}/mcp/default/default/counting`);
  let arrived = false;
  server.state.before = () => {
    arrived = true;
    return new Promise(() => undefined);
  };
  const first = call(token, 'look', `${id}/op`).catch(() => 'lost');
  await pollUntil(() => arrived || undefined, 'the call to arrive');
  await child.kill();
  expect(await first).toBe('lost');
  server.state.before = async () => undefined;
  child = await startGatewayProcess(gateway.config);
  const again = await call(token, 'look', `${id}/op`);
  expect(again.result.content[0].text).toContain('of look');
});
