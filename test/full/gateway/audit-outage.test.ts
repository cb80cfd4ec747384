import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuditSigner, makeAuditKey } from '../../../store/audit-key.ts';
import { verifyAudit } from '../../../store/audit-verify.ts';
import { startLoad } from '../../support/audit-load.ts';
import { type BreakableFront, startBreakableFront } from '../../support/breakable-front.ts';
import { startCountingServer } from '../../support/counting-server.ts';
import { startGatewayProcess } from '../../support/gateway-process.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';

const awayMs = 60_000;
/** How long who calls is believed without asking the database, and a little. */
const believedMs = 4_000;

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let front: BreakableFront;
let child: Awaited<ReturnType<typeof startGatewayProcess>>;

beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await gateway.ready('counting');
  await gateway.stop();
  front = await startBreakableFront(gateway.config.databaseUrl);
  const databaseUrl = new URL(gateway.config.databaseUrl);
  databaseUrl.port = new URL(front.origin).port;
  child = await startGatewayProcess({ ...gateway.config, databaseUrl: databaseUrl.href });
});
afterAll(async () => {
  await child.kill();
  await front.stop();
  await gateway.close();
  await server.close();
});

test('Postgres away for a minute under load: calls are refused with a retry hint, and afterwards the chain verifies and no row is missing', async () => {
  const load = startLoad(`${gateway.publicUrl}/mcp/counting`, { pauseMs: 20 });
  await pollUntil(() => load.calls.filter(({ isAnswered }) => isAnswered).length > 50 || undefined, 'calls to be answered');
  const awayFrom = Date.now();
  await front.stop();
  await sleep(awayMs);
  const backAt = Date.now();
  await front.start();
  await pollUntil(
    () => load.calls.filter(({ isAnswered, endedAt }) => isAnswered && endedAt > backAt).length > 50 || undefined,
    'calls to be answered again',
  );
  const calls = await load.stop();

  // one that was made before waits for its outcome to be on record, which is what its caller is to know
  const during = calls.filter(({ startedAt, endedAt }) => startedAt > awayFrom + believedMs && endedAt < backAt);
  expect(during.length).toBeGreaterThan(100);
  // nothing is let through, and whoever is refused hears that it may be tried again
  expect(during.filter(({ isAnswered }) => isAnswered)).toEqual([]);
  for (const { status, text, retryAfter } of during) {
    const isHinted = retryAfter !== null || /"retryable":true/.test(text);
    expect(isHinted, `${status} ${text}`).toBe(true);
  }

  await child.close();
  const { rows } = await gateway.database.$client.query(`select operation_id, kind, outcome from audit_events where action = 'callTool'`);
  const rowsOf = Map.groupBy(rows, ({ operation_id }) => operation_id);
  const kindsOf = (operationId: string) => (rowsOf.get(operationId) ?? []).map(({ kind }) => kind).sort();
  for (const { tool, operationId, isAnswered } of calls)
    if (isAnswered) expect(kindsOf(operationId), operationId).toEqual(tool === 'look' ? ['call'] : ['intent', 'outcome']);
  // no effect without an intent that is on record
  const intents = new Set(rows.filter(({ kind }) => kind === 'intent').map(({ operation_id }) => operation_id));
  const done = server.calls.filter(({ tool }) => tool === 'act').map(({ arguments: { path } }) => `load-${String(path).slice(1)}`);
  expect(done.filter((operationId) => !intents.has(operationId))).toEqual([]);
  expect(new Set(done).size).toBe(done.length);
  const found = await verifyAudit({ database: gateway.database, verifier: createAuditSigner(makeAuditKey()) });
  expect(found).toMatchObject({ ok: true, breaches: [] });
});
