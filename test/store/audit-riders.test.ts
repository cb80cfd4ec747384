import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { createAuditSigner, makeAuditKey } from '../../store/audit-key.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import { verifyAudit } from '../../store/audit-verify.ts';
import { createAuditWriter } from '../../store/audit-writer.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import type { Writer } from '../../store/operation-commits.ts';
import { createOperationStore } from '../../store/operations.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { startTestDatabase } from '../support/postgres.ts';

const logger = pino({ level: 'silent' });
const signer = createAuditSigner(makeAuditKey());
const keys = deriveContentKeys(Buffer.alloc(32, 1).toString('base64'), 'operations');
let database: Database;
let drop: () => Promise<void>;
let log: AuditLog;

beforeEach(async () => {
  const started = await startTestDatabase();
  database = openDatabase({ url: started.url, name: 'test' });
  drop = started.close;
  log = openAuditLog(database, 'gateway');
});
afterEach(async () => {
  await closeDatabase(database);
  await drop();
});

const event = (tool: string, more: Partial<NewAuditEvent> = {}): NewAuditEvent => ({
  ...defaultTenancy,
  kind: 'outcome',
  action: 'callTool',
  decision: 'allow',
  decisionId: `dec_${tool}`,
  tool,
  outcome: 'ok',
  ...more,
});
const intent = (id: string, more: Partial<NewAuditEvent> = {}) => event(id, { kind: 'intent', outcome: 'pending', ...more });
const unnamed = (id: string) => ({ ...defaultTenancy, id, isNamed: false, principal: 'agent:a', target: 't', argumentsDigest: 'd' });

/** @param pauseMs - long: only what goes along with others is written */
const open = ({ pauseMs = 60_000, writer }: { pauseMs?: number; writer?: Writer } = {}) => {
  const rows = createAuditWriter({ database, log, logger, pauseMs, retryDelayMs: 1 });
  return { rows, operations: createOperationStore(database, log, keys, 'one', { rows, ...(writer ? { writer } : {}) }) };
};
/** Which rows stand in which commits, in the order of the commits. */
const commits = async (): Promise<string[]> => {
  const { rows } = await database.$client.query(
    `select string_agg(tool, ' ' order by position) as tools from audit_events group by writer, epoch, link order by min(sequence)`,
  );
  return rows.map(({ tools }) => tools);
};
const lost = (): Error => Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
const isVerified = async () => (await verifyAudit({ database, verifier: signer })).ok;

test('rows that nobody waits for go along with an intent, in one commit', async () => {
  const { rows, operations } = open();
  for (const tool of ['a', 'b']) rows.write(event(tool));
  await operations.begin(unnamed('op_1'), intent('op_1'));
  expect(await commits()).toEqual(['op_1 a b']);
  rows.write(event('c'));
  await operations.begin(unnamed('op_2'), intent('op_2'));
  expect(await commits()).toEqual(['op_1 a b', 'op_2 c']);
  expect(await isVerified()).toBe(true);
});

test('a commit takes no more along than makes it a little longer; the others are written as ever', async () => {
  const { rows, operations } = open({ pauseMs: 20 });
  for (let index = 0; index < 60; index += 1) rows.write(event('r'));
  await operations.begin(unnamed('op_1'), intent('op_1'));
  await rows.drained();
  expect(new Set((await commits()).map((tools) => tools.split(' ').length))).toEqual(new Set([51, 10]));
  expect(await isVerified()).toBe(true);
});

test('of a commit whose answer was lost the intent is told as unknown, and the rows that went along are there once', async () => {
  let isLost = true;
  const losing = {
    query: async (query: never) => {
      const answer = await database.$client.query(query);
      if (isLost) throw lost();
      return answer;
    },
  } as Writer;
  const { rows, operations } = open({ pauseMs: 1, writer: losing });
  rows.write(event('a'));
  await expect(operations.begin(unnamed('op_1'), intent('op_1'))).rejects.toMatchObject({ code: 'store_unavailable' });
  isLost = false;
  await rows.drained();
  expect(await commits()).toEqual(['op_1 a']);
  await operations.begin(unnamed('op_2'), intent('op_2'));
  expect(await commits()).toEqual(['op_1 a', 'op_2']);
  expect(await isVerified()).toBe(true);
});

test('of a commit that was lost on its way the rows that went along take its place: where it comes later it is refused', async () => {
  const late: (() => Promise<unknown>)[] = [];
  const losing = {
    query: async (query: never) => {
      late.push(() => database.$client.query(query) as unknown as Promise<unknown>);
      throw lost();
    },
  } as Writer;
  const { rows, operations } = open({ pauseMs: 1, writer: losing });
  rows.write(event('a'));
  await expect(operations.begin(unnamed('op_1'), intent('op_1'))).rejects.toMatchObject({ code: 'store_unavailable' });
  await rows.drained();
  expect(await commits()).toEqual(['a']);
  await expect(late[0]?.()).rejects.toMatchObject({ code: '23505' });
  expect(await commits()).toEqual(['a']);
  expect(await isVerified()).toBe(true);
});

test('a row that the database refuses holds up neither the intent that it went along with nor the others', async () => {
  const { rows, operations } = open({ pauseMs: 1 });
  rows.write(event('good'));
  rows.write(event('bad', { inputTokens: 0.5 }));
  await operations.begin(unnamed('op_1'), intent('op_1'));
  await rows.drained();
  const { rows: stored } = await database.$client.query('select tool, error_code from audit_events order by tool nulls last');
  expect(stored).toEqual([
    { tool: 'good', error_code: null },
    { tool: 'op_1', error_code: null },
    { tool: null, error_code: 'row_refused' },
  ]);
  expect(await isVerified()).toBe(true);
});

test('an intent that the database refuses takes no row with it', async () => {
  const { rows, operations } = open({ pauseMs: 1 });
  rows.write(event('a'));
  await expect(operations.begin(unnamed('op_1'), intent('op_1', { inputTokens: 0.5 }))).rejects.toMatchObject({ code: 'internal' });
  await rows.drained();
  expect(await commits()).toEqual(['a']);
  expect(await isVerified()).toBe(true);
});

test('what is being written elsewhere counts among what waits, and the end of the writer waits for it', async () => {
  const gate = Promise.withResolvers<void>();
  const slow = {
    query: async (query: never) => {
      await gate.promise;
      return database.$client.query(query);
    },
  } as unknown as Writer;
  const rows = createAuditWriter({ database, log, logger, pauseMs: 100, maxPending: 1 });
  const operations = createOperationStore(database, log, keys, 'one', { rows, writer: slow });
  rows.write(event('a'));
  const begun = operations.begin(unnamed('op_1'), intent('op_1'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(() => rows.assertWritable()).toThrow(/no call is let through/);
  gate.resolve();
  await begun;
  rows.assertWritable();
  await operations.close();
  await rows.close();
  expect(await commits()).toEqual(['op_1 a']);
});
