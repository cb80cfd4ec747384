import { expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { queryAudit } from '../../store/audit.ts';
import type { Writer } from '../../store/operation-commits.ts';
import { readOperationOutcome } from '../../store/operation-outcome.ts';
import { createOperationStore, holdInstanceLock } from '../../store/operations.ts';
import { deriveContentKeys, seal } from '../../store/secrets/seal.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const keys = deriveContentKeys(Buffer.alloc(32, 1).toString('base64'), 'operations');
const storeOf = (instance: string) => createOperationStore(database(), openAuditLog(database()), keys, instance);
const identity = (id: string) => ({ ...defaultTenancy, id, principal: 'agent:a', target: 'files/write', argumentsDigest: 'digest' });
const event = (id: string, kind: 'intent' | 'outcome'): NewAuditEvent => ({
  ...defaultTenancy,
  kind,
  action: 'callTool',
  decision: 'allow',
  decisionId: 'dec_1',
  outcome: kind === 'intent' ? 'pending' : 'ok',
  operationId: id,
});
const begin = (instance: string, id: string) => storeOf(instance).begin(identity(id), event(id, 'intent'));
const auditOf = async (id: string) =>
  (await queryAudit(database(), defaultTenancy, { limit: 1000 }))
    .filter((row) => row.operationId === id)
    .map(({ kind, outcome }) => `${kind} ${outcome}`);

test('commits the intent with its audit row, and a retry finds the outcome', async () => {
  expect(await begin('one', 'op_1')).toEqual({ kind: 'started' });
  expect(await auditOf('op_1')).toEqual(['intent pending']);
  await storeOf('one').settle(identity('op_1'), { content: 'written' }, event('op_1', 'outcome'));
  expect(await begin('two', 'op_1')).toEqual({ kind: 'settled', outcome: { content: 'written' } });
  expect(await auditOf('op_1')).toEqual(['intent pending', 'outcome ok']);
});

test('of many that begin the same operation at once exactly one starts it', async () => {
  const release = await holdInstanceLock(database(), 'busy', () => undefined);
  const starts = await Promise.all(Array.from({ length: 10 }, () => begin('busy', 'op_race')));
  expect(starts.map(({ kind }) => kind).sort()).toEqual([...Array(9).fill('in-progress'), 'started']);
  release();
});

test('is in progress while the gateway that began it lives, and unknown for good once that is gone', async () => {
  const release = await holdInstanceLock(database(), 'mortal', () => undefined);
  await begin('mortal', 'op_2');
  expect(await begin('other', 'op_2')).toEqual({ kind: 'in-progress' });
  release();
  await expect.poll(() => begin('other', 'op_2')).toEqual({ kind: 'unknown' });
  expect(await begin('third', 'op_2')).toEqual({ kind: 'unknown' });
  expect(await auditOf('op_2')).toEqual(['intent pending', 'outcome unknown']);
});

test('an outcome that comes late still counts', async () => {
  await begin('one', 'op_3');
  await storeOf('one').markUnknown(identity('op_3'), { ...event('op_3', 'outcome'), outcome: 'unknown' });
  expect(await begin('two', 'op_3')).toEqual({ kind: 'unknown' });
  await storeOf('one').settle(identity('op_3'), 'late', event('op_3', 'outcome'));
  expect(await begin('two', 'op_3')).toEqual({ kind: 'settled', outcome: 'late' });
});

test('an id that was used for another call is a conflict', async () => {
  await begin('one', 'op_4');
  const other = { ...identity('op_4'), argumentsDigest: 'another' };
  expect(await storeOf('one').begin(other, event('op_4', 'intent'))).toEqual({ kind: 'conflict' });
});

test('ids of different principals do not meet, wherever they are begun and however they end', async () => {
  const of = (principal: string, argumentsDigest = 'digest') => ({ ...identity('op_common'), principal, argumentsDigest });
  const principals = ['agent:a', 'agent:b', 'person:default/ada'];
  const store = storeOf('one');
  const starts = await Promise.all(principals.map((each) => store.begin(of(each, each), event('op_common', 'intent'))));
  expect(starts).toEqual(principals.map(() => ({ kind: 'started' })));
  await Promise.all([
    store.settle(of('agent:a'), 'of a', event('op_common', 'outcome')),
    store.markUnknown(of('agent:b'), { ...event('op_common', 'outcome'), outcome: 'unknown' }),
    store.release(of('person:default/ada'), { ...event('op_common', 'outcome'), outcome: 'error' }),
  ]);
  const again = principals.map((each) => storeOf('two').begin(of(each, each), event('op_common', 'intent')));
  expect(await Promise.all(again)).toEqual([{ kind: 'settled', outcome: 'of a' }, { kind: 'unknown' }, { kind: 'started' }]);
  expect(await readOperationOutcome(database(), keys, of('agent:a'))).toBe('of a');
  expect(await readOperationOutcome(database(), keys, of('agent:b'))).toBeUndefined();
  expect(await auditOf('op_common')).toHaveLength(7);
});

test('an outcome that was sealed when ids were a project’s is still found', async () => {
  await begin('one', 'op_old');
  const old = seal(keys, Buffer.from('"kept"'), 'default/default/operation/op_old');
  await database().$client.query("update operations set state = 'settled', outcome = $1 where id = 'op_old'", [old]);
  expect(await begin('two', 'op_old')).toEqual({ kind: 'settled', outcome: 'kept' });
  const others = seal(keys, Buffer.from('"not mine"'), 'default/default/operation/op_other');
  await database().$client.query("update operations set outcome = $1 where id = 'op_old'", [others]);
  await expect(begin('two', 'op_old')).rejects.toThrow();
});

test('a call that certainly never left may be made again', async () => {
  await begin('one', 'op_5');
  await storeOf('one').release(identity('op_5'), { ...event('op_5', 'outcome'), outcome: 'error' });
  expect(await begin('two', 'op_5')).toEqual({ kind: 'started' });
});

test('keeps outcomes sealed', async () => {
  await begin('one', 'op_6');
  await storeOf('one').settle(identity('op_6'), { content: 'plain words' }, event('op_6', 'outcome'));
  const { rows } = await database().$client.query("select outcome from operations where id = 'op_6'");
  expect(rows[0].outcome.toString('latin1')).not.toContain('plain words');
});

test('commits what many calls begin and end at the same time, each with its row, and in few commits', async () => {
  const store = storeOf('many');
  const ids = Array.from({ length: 200 }, (_, index) => `op_many_${index}`);
  const commitsOf = async () =>
    Number(
      (await database().$client.query('select count(distinct xmin::text) as commits from operations where id = any($1)', [ids])).rows[0]
        .commits,
    );
  expect(await Promise.all(ids.map((id) => store.begin(identity(id), event(id, 'intent'))))).toEqual(ids.map(() => ({ kind: 'started' })));
  expect(await commitsOf()).toBeLessThan(20);
  await Promise.all(ids.map((id) => store.settle(identity(id), { id }, event(id, 'outcome'))));
  expect(await commitsOf()).toBeLessThan(20);
  expect(await auditOf('op_many_7')).toEqual(['intent pending', 'outcome ok']);
  expect(await begin('other', 'op_many_199')).toEqual({ kind: 'settled', outcome: { id: 'op_many_199' } });
});

test('two beginnings of one id in one commit start it once', async () => {
  const store = storeOf('twice');
  const starts = await Promise.all(
    ['a', 'a', 'b', 'a'].map((name) => store.begin(identity(`op_twice_${name}`), event(`op_twice_${name}`, 'intent'))),
  );
  expect(starts.map(({ kind }) => kind)).toEqual(['started', 'in-progress', 'started', 'in-progress']);
  expect(await auditOf('op_twice_a')).toEqual(['intent pending']);
});

test('a change that the database refuses fails alone', async () => {
  const store = storeOf('refused');
  const bad = { ...event('op_bad', 'intent'), inputTokens: 0.5 };
  const [before, refused, after] = await Promise.allSettled([
    store.begin(identity('op_before'), event('op_before', 'intent')),
    store.begin(identity('op_bad'), bad),
    store.begin(identity('op_after'), event('op_after', 'intent')),
  ]);
  expect([before?.status, refused?.status, after?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await begin('refused', 'op_bad')).toEqual({ kind: 'started' });
});

test('keeps nothing but its audit rows of an operation that nobody named', async () => {
  const unnamed = { ...identity('op_unnamed'), isNamed: false };
  expect(await storeOf('one').begin(unnamed, event('op_unnamed', 'intent'))).toEqual({ kind: 'started' });
  expect(await auditOf('op_unnamed')).toEqual(['intent pending']);
  await storeOf('one').settle(unnamed, { content: 'x' }, event('op_unnamed', 'outcome'));
  expect(await auditOf('op_unnamed')).toEqual(['intent pending', 'outcome ok']);
  expect((await database().$client.query("select 1 from operations where id = 'op_unnamed'")).rowCount).toBe(0);
});

test('an operation that nobody named and that ended unknown is never made again under the id that the refusal told', async () => {
  const unnamed = { ...identity('op_lost'), isNamed: false };
  await storeOf('one').begin(unnamed, event('op_lost', 'intent'));
  await storeOf('one').markUnknown(unnamed, { ...event('op_lost', 'outcome'), outcome: 'unknown' });
  expect(await begin('one', 'op_lost')).toEqual({ kind: 'unknown' });
  expect(await auditOf('op_lost')).toEqual(['intent pending', 'outcome unknown']);
});

test('an unknown operation is not released, and a released one leaves its row in the audit', async () => {
  await begin('one', 'op_7');
  await storeOf('one').markUnknown(identity('op_7'), { ...event('op_7', 'outcome'), outcome: 'unknown' });
  await storeOf('one').release(identity('op_7'), { ...event('op_7', 'outcome'), outcome: 'error' });
  expect(await begin('two', 'op_7')).toEqual({ kind: 'unknown' });
  expect(await auditOf('op_7')).toEqual(['intent pending', 'outcome unknown', 'outcome error']);
});

/** Writes as ever, and loses the answers for as long as it is told to. */
const losingWriter = (isLost: boolean) => {
  const losing = {
    isLost,
    writer: {
      query: async (query: never) => {
        const answer = await database().$client.query(query);
        if (losing.isLost) throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
        return answer;
      },
    } as Writer,
  };
  return losing;
};

test('an intent whose commit was not confirmed is begun again by the same gateway, for the call was not made', async () => {
  const losing = losingWriter(true);
  const store = createOperationStore(database(), openAuditLog(database()), keys, 'losing', { writer: losing.writer });
  const again = () => store.begin(identity('op_8'), event('op_8', 'intent'));
  await expect(again()).rejects.toMatchObject({ code: 'store_unavailable' });
  losing.isLost = false;
  expect(await again()).toEqual({ kind: 'started' });
  expect(await again()).toEqual({ kind: 'in-progress' });
  expect(await auditOf('op_8')).toEqual(['intent pending']);
});

test.each(['settle', 'markUnknown', 'release'] as const)('an ending (%s) whose commit was not confirmed is written once', async (how) => {
  const losing = losingWriter(false);
  const id = `op_lost_${how}`;
  const store = createOperationStore(database(), openAuditLog(database()), keys, 'losing-ends', { writer: losing.writer });
  await store.begin(identity(id), event(id, 'intent'));
  const ending = event(id, 'outcome');
  const end = () => (how === 'settle' ? store.settle(identity(id), 'done', ending) : store[how](identity(id), ending));
  losing.isLost = true;
  await expect(end()).rejects.toMatchObject({ code: 'store_unavailable' });
  losing.isLost = false;
  await end();
  expect(await auditOf(id)).toEqual(['intent pending', 'outcome ok']);
  await store.close();
});
