import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { expect, test } from 'vitest';
import { endAgent, getAgent } from '../../store/agents.ts';
import type { Database } from '../../store/database.ts';
import { countRefusal, reserve, settle, settleAbandoned } from '../../store/ledger.ts';
import { moveRun } from '../../store/runs.ts';
import { insertRunningAgent, insertRunningRun, plentiful, useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
let serial = 0;

const newAgent = async (limits: Partial<typeof plentiful> = {}) => {
  serial += 1;
  const run = await insertRunningRun(database(), `run_${String(serial).padStart(16, '0')}`);
  return { run, agentId: await insertRunningAgent(database(), run, 0, { ...plentiful, ...limits }) };
};
const model = (agentId: string, operationId: string, tokens = 100) =>
  reserve(database(), { agentId, operationId, kind: 'model', tokens, callDigest: 'same' });
const tool = (agentId: string, operationId: string) =>
  reserve(database(), { agentId, operationId, kind: 'tool', tokens: 0, callDigest: 'same' });
const usage = async (agentId: string) => {
  const { steps, calls, tokens, inputTokens, outputTokens, costMicroUsd } = await getAgent(database(), agentId);
  return { steps, calls, tokens, inputTokens, outputTokens, costMicroUsd };
};

test('sets the worst case aside, and puts the true cost in its place', async () => {
  const { agentId } = await newAgent();
  expect(await model(agentId, 'op_1', 5000)).toEqual({ ok: true });
  expect(await usage(agentId)).toMatchObject({ steps: 1, calls: 0, tokens: 5000 });
  const spent = { inputTokens: 30, outputTokens: 12, costMicroUsd: 7 };
  await settle(database(), { agentId, operationId: 'op_1' }, spent);
  await settle(database(), { agentId, operationId: 'op_1' }, spent); // a second time costs nothing
  expect(await usage(agentId)).toEqual({ steps: 1, calls: 0, tokens: 42, inputTokens: 30, outputTokens: 12, costMicroUsd: 7 });
});

test('gives the tokens of a failed call back and keeps the step used', async () => {
  const { agentId } = await newAgent();
  await model(agentId, 'op_1', 5000);
  await settle(database(), { agentId, operationId: 'op_1' }, undefined);
  expect(await usage(agentId)).toMatchObject({ steps: 1, tokens: 0 });
});

test('a retry finds its own reservation; a model call that was settled is paid for again, without another step', async () => {
  const { agentId } = await newAgent();
  await tool(agentId, 'op_t');
  await tool(agentId, 'op_t');
  await model(agentId, 'op_m', 100);
  await model(agentId, 'op_m', 100);
  expect(await usage(agentId)).toMatchObject({ steps: 1, calls: 1, tokens: 100 });
  await settle(database(), { agentId, operationId: 'op_m' }, { inputTokens: 10, outputTokens: 10, costMicroUsd: 0 });
  await model(agentId, 'op_m', 100);
  expect(await usage(agentId)).toMatchObject({ steps: 1, tokens: 120 });
});

test('many tries of one operation at the same moment are paid for once', async () => {
  const { agentId } = await newAgent();
  expect(await Promise.all(Array.from({ length: 10 }, () => tool(agentId, 'op_same')))).toEqual(Array(10).fill({ ok: true }));
  expect(await usage(agentId)).toMatchObject({ calls: 1 });
});

test.each([
  ['limit_steps', { steps: 1 }, model],
  ['limit_calls', { calls: 1 }, tool],
  ['limit_tokens', { tokens: 150 }, model],
] as const)('refuses with %s, and a refusal uses nothing up', async (reason, limits, call) => {
  const { agentId } = await newAgent(limits);
  expect(await call(agentId, 'op_1')).toEqual({ ok: true });
  const before = await usage(agentId);
  expect(await call(agentId, 'op_2')).toEqual({ ok: false, reason });
  expect(await usage(agentId)).toEqual(before);
});

test('calls at the same time do not pass a limit together', async () => {
  const { agentId } = await newAgent({ tokens: 1000, steps: 100 });
  const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => model(agentId, `op_${index}`, 100)));
  expect(answers.filter(({ ok }) => ok)).toHaveLength(10);
  expect(await usage(agentId)).toMatchObject({ steps: 10, tokens: 1000 });
});

test('refuses when the time is over, and when the agent or its run has ended', async () => {
  const late = await newAgent();
  await database().execute(sql`update agents set deadline_at = now() where id = ${late.agentId}`);
  expect(await tool(late.agentId, 'op_1')).toEqual({ ok: false, reason: 'limit_time' });
  const ended = await newAgent();
  await moveRun(database(), ended.run, ['running'], 'cancelling');
  expect(await tool(ended.agentId, 'op_1')).toEqual({ ok: false, reason: 'ended' });
  expect(await tool('default/default/survey/run_none/read/reader/0', 'op_1')).toEqual({ ok: false, reason: 'ended' });
});

test('counts refusals', async () => {
  const { agentId } = await newAgent();
  await countRefusal(database(), agentId);
  expect((await getAgent(database(), agentId)).refusals).toBe(1);
});

test('an operation id that comes back for another call is a conflict, and one that comes back without end is refused', async () => {
  const { agentId: first } = await newAgent();
  expect(await reserve(database(), { agentId: first, operationId: 'a', kind: 'tool', tokens: 0, callDigest: 'one' })).toEqual({ ok: true });
  expect(await reserve(database(), { agentId: first, operationId: 'a', kind: 'tool', tokens: 0, callDigest: 'two' })).toEqual({
    ok: false,
    reason: 'conflict',
  });
  expect(await reserve(database(), { agentId: first, operationId: 'a', kind: 'model', tokens: 900_000, callDigest: 'one' })).toEqual({
    ok: false,
    reason: 'conflict',
  });
  for (let tries = 1; tries < 100; tries += 1)
    expect(await reserve(database(), { agentId: first, operationId: 'a', kind: 'tool', tokens: 0, callDigest: 'one' })).toEqual({
      ok: true,
    });
  expect(await reserve(database(), { agentId: first, operationId: 'a', kind: 'tool', tokens: 0, callDigest: 'one' })).toEqual({
    ok: false,
    reason: 'limit_calls',
  });
});

test('the same call with the same arguments is refused when it was made as often as the role allows; another one and a retry are not', async () => {
  const { agentId } = await newAgent({ sameCalls: 2 });
  const other = () => reserve(database(), { agentId, operationId: crypto.randomUUID(), kind: 'tool', tokens: 0, callDigest: 'other' });
  expect(await tool(agentId, 'op_1')).toEqual({ ok: true });
  expect(await tool(agentId, 'op_2')).toEqual({ ok: true });
  expect(await tool(agentId, 'op_3')).toEqual({ ok: false, reason: 'limit_repeats' });
  expect(await tool(agentId, 'op_2')).toEqual({ ok: true });
  expect(await other()).toEqual({ ok: true });
  expect(await usage(agentId)).toMatchObject({ calls: 3 });
  expect(await tool(agentId, 'op_4')).toEqual({ ok: false, reason: 'limit_repeats' });
});

test('what a tool call costs is settled as it is reserved; a model call of an agent that ended long ago is, with its worst case', async () => {
  const { agentId } = await newAgent();
  await tool(agentId, 'op_t');
  await model(agentId, 'op_m', 500);
  const open = async () =>
    (await database().execute(sql`select operation_id from reservations where agent_id = ${agentId} and settled_at is null`)).rows;
  expect(await open()).toEqual([{ operation_id: 'op_m' }]);
  const soon = new Date(Date.now() + 60_000);
  expect(await settleAbandoned(database(), soon)).toBe(0);
  await endAgent(database(), agentId, { state: 'cancelled' });
  expect(await settleAbandoned(database(), new Date(Date.now() - 60_000))).toBe(0);
  expect(await settleAbandoned(database(), soon)).toBe(1);
  expect(await open()).toEqual([]);
  expect(await usage(agentId)).toMatchObject({ tokens: 500 });
});

/** A database whose statements take effect and whose answers are lost, so many times from when it is told on. */
const losing = (real: Database) => {
  const state = { left: 0 };
  const lose = (target: object): never =>
    new Proxy(target, {
      get: (inner, name) => {
        const found = Reflect.get(inner, name);
        if (typeof found !== 'function') return found;
        return (...given: unknown[]) => {
          const answer = found.apply(inner, given);
          // statements of a transaction go over a connection of its own; its commit is the one whose answer is lost
          if (name === 'connect') return Promise.resolve(answer).then((client: object) => lose(client));
          if (name !== 'query') return answer;
          const text = String((given[0] as { text?: string })?.text ?? given[0]);
          const counts = inner === real.$client || /^commit/i.test(text);
          return Promise.resolve(answer).then((value) => {
            if (!counts || state.left === 0) return value;
            state.left -= 1;
            throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
          });
        };
      },
    }) as never;
  const $client = lose(real.$client);
  const database = Object.assign(drizzle({ client: $client }), { $client }) as unknown as Database;
  return { database, lose: (count: number) => Object.assign(state, { left: count }) };
};

test('a reservation and a settlement that took effect while the gateway heard of a failure are there once, whoever tries again', async () => {
  const { agentId } = await newAgent();
  const lossy = losing(database());
  const request = { agentId, operationId: 'op_1', kind: 'model' as const, tokens: 5000, callDigest: 'same' };
  lossy.lose(1);
  await expect(reserve(lossy.database, request)).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(await usage(agentId)).toMatchObject({ steps: 1, tokens: 5000 });
  expect(await reserve(lossy.database, request)).toEqual({ ok: true });
  expect(await usage(agentId)).toMatchObject({ steps: 1, tokens: 5000 });

  const spent = { inputTokens: 30, outputTokens: 12, costMicroUsd: 7 };
  const settleOnce = () => settle(lossy.database, { agentId, operationId: 'op_1' }, spent);
  lossy.lose(1);
  await expect(settleOnce()).rejects.toMatchObject({ code: 'store_unavailable' });
  await settleOnce();
  expect(await usage(agentId)).toEqual({ steps: 1, calls: 0, tokens: 42, inputTokens: 30, outputTokens: 12, costMicroUsd: 7 });

  // the same for a tool, whose call is settled as it is reserved
  const call = { ...request, operationId: 'op_2', kind: 'tool' as const, tokens: 0 };
  lossy.lose(1);
  await expect(reserve(lossy.database, call)).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(await reserve(lossy.database, call)).toEqual({ ok: true });
  expect(await usage(agentId)).toMatchObject({ calls: 1, tokens: 42 });
  const open = await database().$client.query('select 1 from reservations where agent_id = $1 and settled_at is null', [agentId]);
  expect(open.rows).toEqual([]);
});
