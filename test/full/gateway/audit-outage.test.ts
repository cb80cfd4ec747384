import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuditSigner, makeAuditKey } from '../../../store/audit-key.ts';
import { verifyAudit } from '../../../store/audit-verify.ts';
import { startLoad } from '../../support/audit-load.ts';
import { startCountingServer } from '../../support/counting-server.ts';
import { startGatewayProcess } from '../../support/gateway-process.ts';
import { startOwnPostgres } from '../../support/own-postgres.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';
import { type ScriptedModel, startScriptedModel } from '../../support/scripted-model.ts';

const awayMs = 60_000;
/** How long who calls is believed without asking the database, and a little. */
const believedMs = 4_000;

let postgres: Awaited<ReturnType<typeof startOwnPostgres>>;
let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let model: ScriptedModel;
let child: Awaited<ReturnType<typeof startGatewayProcess>>;

beforeAll(async () => {
  server = await startCountingServer();
  postgres = await startOwnPostgres();
  const usage = { promptTokens: 11, completionTokens: 7 };
  // some are under way whenever the database goes
  model = await startScriptedModel({ answer: (_request, number) => ({ text: 'ok', usage, after: sleep((number % 7) * 100) }) });
  gateway = await startRunningGateway({ databaseUrl: postgres.url });
  const price = { inputMicroUsdPerMillion: 1_000_000, outputMicroUsdPerMillion: 1_000_000 };
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Provider', metadata: { name: 'scripted' }, spec: { kind: 'openai-compatible', baseUrl: model.url } },
    {
      kind: 'Model',
      metadata: { name: 'one' },
      spec: { routes: [{ provider: 'scripted', model: 'scripted', price }], maxOutputTokens: 100 },
    },
    { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], models: ['one'] } },
  );
  await gateway.ready('counting');
  await gateway.stop();
  child = await startGatewayProcess(gateway.config);
});
afterAll(async () => {
  await child.kill();
  await gateway.close();
  await postgres.close();
  await Promise.all([server.close(), model.close()]);
});

/** An agent that asks its model again and again, and like a worker tries each question under its id until it is answered. */
const startAgent = async (ordinal: number, runId: string) => {
  const { id } = await gateway.addAgent({ runId, ordinal, limits: { steps: 1000, calls: 1000, tokens: 10_000_000, timeSeconds: 3600 } });
  const token = await gateway.mint(id, `${gateway.publicUrl}/v1`);
  const state = { isStopped: false, answered: 0, refusals: [] as { at: number; status: number; retryAfter: string | null }[] };
  const askOnce = async (operationId: string): Promise<boolean> => {
    const answer = await fetch(`${gateway.publicUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': operationId },
      body: JSON.stringify({ model: 'one', messages: [{ role: 'user', content: operationId }], stream: ordinal % 2 === 0 }),
      signal: AbortSignal.timeout(30_000),
    }).catch(() => undefined);
    if (answer?.status === 200) return (await answer.text()).includes('ok');
    if (answer) state.refusals.push({ at: Date.now(), status: answer.status, retryAfter: answer.headers.get('retry-after') });
    return false;
  };
  const loop = (async () => {
    for (let step = 0; !state.isStopped; step += 1) {
      while (!(await askOnce(`op-${ordinal}-${step}`))) await sleep(100);
      state.answered += 1;
    }
  })();
  return {
    id,
    state,
    stop: async (): Promise<void> => {
      state.isStopped = true;
      await loop;
    },
  };
};

test('Postgres killed and away for a minute under load: calls are refused with a retry hint, and afterwards the chain verifies, no row is missing and every reservation is settled', async () => {
  const load = startLoad(`${gateway.publicUrl}/mcp/counting`, { pauseMs: 20 });
  await pollUntil(() => load.calls.filter(({ isAnswered }) => isAnswered).length > 50 || undefined, 'calls to be answered');
  const agents = await Promise.all([0, 1, 2, 3].map((ordinal) => startAgent(ordinal, 'run_outage0000000000')));
  await pollUntil(() => agents.every(({ state }) => state.answered > 3) || undefined, 'models to answer agents');
  const awayFrom = Date.now();
  await postgres.kill();
  await sleep(awayMs);
  const backAt = Date.now();
  await postgres.start();
  const answeredBefore = agents.map(({ state }) => state.answered);
  await pollUntil(
    () => load.calls.filter(({ isAnswered, endedAt }) => isAnswered && endedAt > backAt).length > 50 || undefined,
    'calls to be answered again',
  );
  await pollUntil(
    () => agents.every(({ state }, index) => state.answered > (answeredBefore[index] ?? 0) + 3) || undefined,
    'models to answer agents again',
  );
  const calls = await load.stop();
  await Promise.all(agents.map(({ stop }) => stop()));

  // one that was made before waits for its outcome to be on record, which is what its caller is to know
  const during = calls.filter(({ startedAt, endedAt }) => startedAt > awayFrom + believedMs && endedAt < backAt);
  expect(during.length).toBeGreaterThan(100);
  // nothing is let through, and whoever is refused hears that it may be tried again
  expect(during.filter(({ isAnswered }) => isAnswered)).toEqual([]);
  for (const { status, text, retryAfter } of during) {
    const isHinted = retryAfter !== null || /"retryable":true/.test(text);
    expect(isHinted, `${status} ${text}`).toBe(true);
  }

  for (const { at, status, retryAfter } of agents.flatMap(({ state }) => state.refusals))
    if (at > awayFrom + believedMs && at < backAt) expect([status, Number(retryAfter) > 0]).toEqual([503, true]);
  const unsettled = () => gateway.database.$client.query('select agent_id, operation_id from reservations where settled_at is null');
  await pollUntil(async () => (await unsettled()).rows.length === 0 || undefined, 'reservations to be settled');
  const { rows: charged } = await gateway.database.$client.query(
    'select sum(tokens)::int as tokens, sum(input_tokens + output_tokens)::int as used, sum(steps)::int as steps from agents',
  );
  // nothing is still set aside, and each answer was paid for: what was tried again after its answer was lost, twice
  expect(charged[0].tokens).toBe(charged[0].used);
  expect(charged[0].steps).toBe(agents.reduce((sum, { state }) => sum + state.answered, 0));

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
