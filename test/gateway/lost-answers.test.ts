import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuditSigner, makeAuditKey } from '../../store/audit-key.ts';
import { verifyAudit } from '../../store/audit-verify.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { callHeaders } from '../support/call-headers.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { startLossyPostgres } from '../support/lossy-postgres.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startTestDatabase } from '../support/postgres.ts';
import { type RawProvider, sendJson, startRawProvider, wholeAnswer } from '../support/raw-provider.ts';
import { guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let provider: RawProvider;
let wire: Awaited<ReturnType<typeof startLossyPostgres>>;
/** Beside the wire that loses answers, so that what is looked at is what is there. */
let database: Database;
let dropDatabase: () => Promise<void>;

beforeAll(async () => {
  const { url, close } = await startTestDatabase();
  dropDatabase = close;
  database = openDatabase({ url, name: 'test-beside' });
  wire = await startLossyPostgres(url);
  [server, provider] = await Promise.all([startCountingServer(), startRawProvider()]);
  gateway = await startRunningGateway({ databaseUrl: wire.url });
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Provider', metadata: { name: 'raw' }, spec: { kind: 'openai-compatible', baseUrl: provider.url } },
    { kind: 'Model', metadata: { name: 'small' }, spec: { routes: [{ provider: 'raw', model: 'small' }] } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'readers' },
      spec: { subjects: [{ agentRole: 'reader' }, { group: 'guests' }], toolsets: ['counting'], models: ['small'] },
    },
  );
  await gateway.ready('counting');
});
afterAll(async () => {
  await gateway.close();
  wire.close();
  await closeDatabase(database);
  await dropDatabase();
  await Promise.all([server.close(), provider.close()]);
});

const audience = () => `${gateway.publicUrl}/mcp/default/default/counting`;
type Sent = { token?: string; operationId?: string; trace?: string };
const call = async (name: string, { token = guestToken, operationId, trace }: Sent = {}) => {
  const response = await fetch(audience(), {
    method: 'POST',
    headers: {
      ...callHeaders(token, operationId),
      ...(trace ? { traceparent: `00-${trace}-00000000000000ab-01` } : {}),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: { path: '/x' } } }),
  });
  const text = await response.text();
  return { status: response.status, text, retryAfter: response.headers.get('retry-after') };
};
const newOperation = () => `op-${randomUUID()}`;
const newTrace = () => randomBytes(16).toString('hex');
const kindsOf = async (column: 'operation_id' | 'trace_id', value: string): Promise<string[]> =>
  (await database.$client.query(`select kind from audit_events where ${column} = $1 order by sequence`, [value])).rows.map(
    ({ kind }) => kind,
  );
const verified = async () => {
  const { ok, breaches } = await verifyAudit({ database, verifier: createAuditSigner(makeAuditKey()) });
  expect({ ok, breaches }).toEqual({ ok: true, breaches: [] });
};

describe('the intent of a call whose commit takes effect while the gateway hears of a broken connection', () => {
  test('is of a call that is refused for now, and made once when it comes again with its id', async () => {
    const operationId = newOperation();
    const [lost, made] = [wire.lost(), server.countOf('act')];
    wire.loseAnswerTo(operationId);
    const refused = await call('act', { operationId });
    expect(wire.lost()).toBe(lost + 1);
    expect(refused.text).toContain('store_unavailable');
    expect(server.countOf('act'), 'not made').toBe(made);
    expect(await kindsOf('operation_id', operationId), 'though its intent is there').toContain('intent');
    const ran = await call('act', { operationId });
    expect(ran.text).toContain('of act');
    expect((await call('act', { operationId })).text).toBe(ran.text);
    expect(server.countOf('act')).toBe(made + 1);
    const kinds = await pollUntil(async () => {
      const found = await kindsOf('operation_id', operationId);
      return found.includes('outcome') ? found : undefined;
    }, 'the outcome');
    expect(kinds.filter((kind) => kind === 'intent' || kind === 'outcome')).toEqual(['intent', 'outcome']);
    await verified();
  });

  test('is of a call that is not made at all, where it has no id to come again with', async () => {
    const trace = newTrace();
    const made = server.countOf('act');
    wire.loseAnswerTo(trace);
    expect((await call('act', { trace })).text).toContain('store_unavailable');
    expect(server.countOf('act')).toBe(made);
    expect((await kindsOf('trace_id', trace)).filter((kind) => kind === 'outcome')).toEqual([]);
    await verified();
  });
});

test('an outcome whose commit is not heard of is there once, and its call is not made again', async () => {
  const operationId = newOperation();
  const [lost, made] = [wire.lost(), server.countOf('act')];
  wire.loseAnswerTo(operationId, 1);
  const ran = await call('act', { operationId });
  expect(wire.lost()).toBe(lost + 1);
  expect(ran.text).toContain('of act');
  expect((await call('act', { operationId })).text).toBe(ran.text);
  expect(server.countOf('act')).toBe(made + 1);
  expect((await kindsOf('operation_id', operationId)).filter((kind) => kind !== 'call')).toEqual(['intent', 'outcome']);
  await verified();
});

test('a row of a call that only reads is there once', async () => {
  const trace = newTrace();
  const lost = wire.lost();
  wire.loseAnswerTo(trace);
  expect((await call('look', { trace })).text).toContain('of look');
  await pollUntil(() => wire.lost() > lost || undefined, 'the answer to be lost');
  // a row that comes later is there, so a second one of this call would be, too
  const later = newTrace();
  await call('look', { trace: later });
  await pollUntil(async () => (await kindsOf('trace_id', later)).length > 0 || undefined, 'a later row');
  expect(await kindsOf('trace_id', trace)).toEqual(['call']);
  await verified();
});

describe('the budget of an agent', () => {
  const usageOf = async (agentId: string) => {
    const { rows } = await database.$client.query('select steps, calls, tokens::int as tokens from agents where id = $1', [agentId]);
    const open = await database.$client.query('select 1 from reservations where agent_id = $1 and settled_at is null', [agentId]);
    return { ...rows[0], open: open.rows.length };
  };

  test('is charged once for a call whose reservation was not heard of, and the call is made once', async () => {
    const { id } = await gateway.addAgent();
    const token = await gateway.mint(id, audience());
    const operationId = `${id}/step-1/call-0`;
    const [lost, made] = [wire.lost(), server.countOf('act')];
    wire.loseAnswerTo(operationId);
    expect((await call('act', { token, operationId })).text).toContain('store_unavailable');
    expect(wire.lost()).toBe(lost + 1);
    expect(server.countOf('act')).toBe(made);
    expect((await call('act', { token, operationId })).text).toContain('of act');
    expect(server.countOf('act')).toBe(made + 1);
    expect(await usageOf(id)).toEqual({ steps: 0, calls: 1, tokens: 0, open: 0 });
    await verified();
  });

  test('is charged once for a model’s answer whose settlement was not heard of', async () => {
    const { id } = await gateway.addAgent();
    const token = await gateway.mint(id, `${gateway.publicUrl}/v1`);
    const operationId = `${id}/step-1/model`;
    provider.handle = (response) => sendJson(response, 200, wholeAnswer('hello'));
    const ask = async () => {
      const response = await fetch(`${gateway.publicUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': operationId },
        body: JSON.stringify({ model: 'small', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] }),
      });
      return response.json() as Promise<{ usage: { prompt_tokens: number; completion_tokens: number } }>;
    };
    const lost = wire.lost();
    // the first write of the operation reserves, the second one settles
    wire.loseAnswerTo(operationId, 1);
    const { usage } = await ask();
    const spent = usage.prompt_tokens + usage.completion_tokens;
    await pollUntil(() => wire.lost() > lost || undefined, 'the answer to be lost');
    await pollUntil(async () => (await usageOf(id)).open === 0 || undefined, 'the settlement');
    // whoever heard of a failure tries again after a moment: nothing more is charged by that
    const later = newTrace();
    await call('look', { trace: later });
    expect(await usageOf(id)).toEqual({ steps: 1, calls: 0, tokens: spent, open: 0 });
    await verified();
  });
});
