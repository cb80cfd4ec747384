import { expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { queryAudit } from '../../store/audit.ts';
import { createOperationStore, holdInstanceLock } from '../../store/operations.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const keys = deriveContentKeys(Buffer.alloc(32, 1).toString('base64'), 'operations');
const storeOf = (instance: string) => createOperationStore(database(), keys, instance);
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
