import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../../schema/ids.ts';
import { getApproval } from '../../../store/approvals.ts';
import { createAuditSigner, makeAuditKey } from '../../../store/audit-key.ts';
import { verifyAudit } from '../../../store/audit-verify.ts';
import { decideApproval } from '../../../store/decide-approval.ts';
import { approvalEvent } from '../../support/ask-approval.ts';
import { startLoad } from '../../support/audit-load.ts';
import { openAuditLog } from '../../support/audit-log.ts';
import { startCountingServer } from '../../support/counting-server.ts';
import { startGatewayProcess } from '../../support/gateway-process.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { startPostgresPair } from '../../support/postgres-pair.ts';
import { guestToken, type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';
import { startTcpSwitch } from '../../support/tcp-switch.ts';

let pair: Awaited<ReturnType<typeof startPostgresPair>>;
let way: Awaited<ReturnType<typeof startTcpSwitch>>;
let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let child: Awaited<ReturnType<typeof startGatewayProcess>>;

const portOf = (url: string): number => Number(new URL(url).port);

beforeAll(async () => {
  server = await startCountingServer();
  pair = await startPostgresPair();
  way = await startTcpSwitch(portOf(pair.firstUrl));
  const url = new URL(pair.firstUrl);
  url.port = String(way.port);
  gateway = await startRunningGateway({ databaseUrl: url.href });
  const cedar = `@approve("role:reviewer") forbid (principal, action == Quarterdeck::Action::"callTool", resource)
when { resource.server == Quarterdeck::Server::"default/default/asking" } unless { context.approvedCall };`;
  const toolset = (name: string) => ({ kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } });
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'McpServer', metadata: { name: 'asking' }, spec: { url: server.url } },
    toolset('counting'),
    toolset('asking'),
    { kind: 'AccessBinding', metadata: { name: 'guests' }, spec: { subjects: [{ group: 'guests' }], toolsets: ['asking'] } },
    { kind: 'PolicySet', metadata: { name: 'asking' }, spec: { cedar } },
  );
  await gateway.ready('counting');
  await gateway.ready('asking');
  await gateway.stop();
  child = await startGatewayProcess(gateway.config);
});
afterAll(async () => {
  await child?.kill();
  await gateway?.close();
  await way?.close();
  await pair?.close();
  await server?.close();
});

/** One attempt of an operation that people have to allow. @returns its answer; undefined where none came */
const attempt = async (operationId: string) => {
  try {
    const response = await fetch(`${gateway.publicUrl}/mcp/asking`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${guestToken}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'idempotency-key': operationId,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'act', arguments: { path: operationId } } }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
    return JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')) as any;
  } catch {
    return undefined;
  }
};

const approve = async (operationId: string): Promise<string> => {
  const id = await pollUntil(async () => (await attempt(operationId))?.error?.data?.approvalId, `an approval of ${operationId}`);
  const key = { ...defaultTenancy, id };
  const { digest, rules } = await getApproval(gateway.database, key);
  const given = {
    person: 'rita',
    verdict: 'approve' as const,
    digest,
    policies: rules.map(({ policy }) => policy),
    stamp: 't',
    comment: null,
  };
  await decideApproval(gateway.database, openAuditLog(gateway.database), key, { ...given, decisionId: 'dec_r' }, approvalEvent('approve'), {
    mayApproveOwn: false,
  });
  return id;
};

/** As an agent does: the same operation again until it is known what became of it. */
const untilKnown = async (operationId: string): Promise<'done' | 'unknown'> => {
  const answer = await attempt(operationId);
  if (answer?.result) return 'done';
  if (answer?.error?.data?.code === 'operation_unknown') return 'unknown';
  await new Promise((resolve) => setTimeout(resolve, 50));
  return untilKnown(operationId);
};

test('the database killed under load and its standby promoted: no effect without its intent, no approval used twice, and the chain verifies', async () => {
  const numbered = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}-${index}`);
  const [early, amid, late] = [numbered('early', 2), numbered('amid', 40), numbered('late', 2)];
  const approvals = new Map<string, string>();
  for (const operationId of [...early, ...amid, ...late]) approvals.set(operationId, await approve(operationId));
  expect(await Promise.all(early.map(untilKnown))).toEqual(early.map(() => 'done'));

  const load = startLoad(`${gateway.publicUrl}/mcp/counting`, { parallel: 8 });
  await pollUntil(() => load.calls.filter(({ isAnswered }) => isAnswered).length > 100 || undefined, 'calls to be answered');
  const waiting = [...amid];
  const known = new Map<string, 'done' | 'unknown'>();
  const lanes = Promise.all(
    [0, 1, 2, 3].map(async () => {
      for (let operationId = waiting.shift(); operationId; operationId = waiting.shift())
        known.set(operationId, await untilKnown(operationId));
    }),
  );
  const ranOfThem = () => server.calls.filter(({ arguments: { path } }) => String(path).startsWith('amid')).length;
  await pollUntil(() => ranOfThem() > 4 || undefined, 'some of them to run');
  const killedAt = Date.now();
  await pair.failOver();
  way.turnTo(portOf(pair.secondUrl));
  const promotedAt = Date.now();
  expect(ranOfThem()).toBeLessThan(amid.length);
  await pollUntil(
    () =>
      load.calls.filter(({ isAnswered, tool, endedAt }) => isAnswered && tool === 'act' && endedAt > promotedAt).length > 50 || undefined,
    'calls to be answered by the standby',
    60_000,
  );
  await lanes;
  const outcomes = amid.map((operationId) => known.get(operationId));
  expect(outcomes.filter((outcome) => outcome === 'done').length).toBeGreaterThan(30);
  expect(await Promise.all(late.map(untilKnown))).toEqual(late.map(() => 'done'));
  // each once more: what was used up stays used up
  const again = await Promise.all([...early, ...amid, ...late].map(untilKnown));
  expect(again).toEqual(['done', 'done', ...outcomes, 'done', 'done']);
  const calls = await load.stop();
  await child.close();
  expect(calls.filter(({ startedAt, isAnswered }) => startedAt > killedAt && startedAt < promotedAt && !isAnswered).length).toBeGreaterThan(
    0,
  );

  const { rows } = await gateway.database.$client.query(`select operation_id, kind from audit_events where action = 'callTool'`);
  const kindsOf = (operationId: string) => rows.flatMap(({ operation_id, kind }) => (operation_id === operationId ? [kind] : [])).sort();
  const effects = server.calls.filter(({ tool }) => tool === 'act').map(({ arguments: { path } }) => String(path));
  expect(new Set(effects).size).toBe(effects.length);
  const intents = new Set(rows.filter(({ kind }) => kind === 'intent').map(({ operation_id }) => operation_id));
  const withoutIntent = effects.filter((path) => !intents.has(path.startsWith('/') ? `load-${path.slice(1)}` : path));
  expect(withoutIntent).toEqual([]);
  // whoever was answered before the death finds their rows at the standby
  for (const { tool, operationId, isAnswered } of calls)
    if (isAnswered && tool === 'act') expect(kindsOf(operationId), operationId).toEqual(['intent', 'outcome']);

  const { rows: uses } = await gateway.database.$client.query(
    `select a.id, a.state, count(e.*)::int as uses from approvals a
     left join audit_events e on e.resource = 'Approval/' || a.id and e.action = 'useApproval' group by 1, 2`,
  );
  expect(uses).toHaveLength(approvals.size);
  for (const use of uses) expect(use).toMatchObject({ state: 'consumed', uses: 1 });
  const done = [...early, ...amid, ...late].filter((_, index) => again[index] === 'done');
  expect(done.filter((operationId) => effects.filter((path) => path === operationId).length !== 1)).toEqual([]);
  const found = await verifyAudit({ database: gateway.database, verifier: createAuditSigner(makeAuditKey()) });
  expect(found).toMatchObject({ ok: true, breaches: [] });
});
