import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuditSigner, makeAuditKey } from '../../store/audit-key.ts';
import { verifyAudit } from '../../store/audit-verify.ts';
import { startLoad } from '../support/audit-load.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

const kills = 3;
/** A row of a call that only reads is committed within so long of its answer, also on a machine that does other things. */
const committedWithinMs = 1_000;

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;

beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await gateway.ready('counting');
  await gateway.stop();
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

test('kill -9 of the gateway at any moment under load leaves chains that verify, and no call that may have an effect without its rows', async () => {
  for (let kill = 1; kill <= kills; kill += 1) {
    server.calls.length = 0;
    const child = await startGatewayProcess(gateway.config);
    await gateway.database.$client.query('delete from operations');
    const load = startLoad(`${gateway.publicUrl}/mcp/counting`);
    await pollUntil(() => load.calls.filter(({ isAnswered }) => isAnswered).length > 20 * kill || undefined, 'calls to be answered');
    const killedAt = Date.now();
    await child.kill();
    const calls = await load.stop();

    const { rows } = await gateway.database.$client.query(
      `select operation_id, kind from audit_events where action = 'callTool' and writer = (select writer from audit_events order by sequence desc limit 1)`,
    );
    const kindsOf = (operationId: string) =>
      rows
        .filter(({ operation_id }) => operation_id === operationId)
        .map(({ kind }) => kind)
        .sort();
    for (const { tool, operationId, isAnswered, endedAt } of calls)
      if (isAnswered && tool === 'act') expect(kindsOf(operationId), operationId).toEqual(['intent', 'outcome']);
      else if (isAnswered && endedAt < killedAt - committedWithinMs) expect(kindsOf(operationId), operationId).toEqual(['call']);
    const done = server.calls.filter(({ tool }) => tool === 'act').map(({ arguments: { path } }) => `load-${String(path).slice(1)}`);
    expect(done.filter((operationId) => !kindsOf(operationId).includes('intent'))).toEqual([]);

    const found = await verifyAudit({ database: gateway.database, verifier: createAuditSigner(makeAuditKey()) });
    expect(found).toMatchObject({ ok: true, breaches: [] });
    // what the killed process had begun is said to have no end; the one before all that was stopped in order
    expect(found.unclosed.length).toBeGreaterThanOrEqual(kill);
  }
}, 180_000);
