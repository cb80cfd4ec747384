import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { checkpointFile } from '../../store/audit-checkpoint-file.ts';
import { createCheckpointer } from '../../store/audit-checkpoints.ts';
import { createAuditSigner, makeAuditKey } from '../../store/audit-key.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import { verifyAudit } from '../../store/audit-verify.ts';
import { createAuditWriter } from '../../store/audit-writer.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { createOperationStore } from '../../store/operations.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { startTestDatabase } from '../support/postgres.ts';

const logger = pino({ level: 'silent' });
const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-audit-'));
const signer = createAuditSigner(makeAuditKey());
let database: Database;
let drop: () => Promise<void>;
let log: AuditLog;
let file: string;
let count = 0;

beforeEach(async () => {
  const started = await startTestDatabase();
  database = openDatabase({ url: started.url, name: 'test' });
  drop = started.close;
  log = openAuditLog(database, 'gateway');
  count += 1;
  file = join(folder, `${count}.jsonl`);
});
afterEach(async () => {
  await closeDatabase(database);
  await drop();
});
afterAll(() => rmSync(folder, { recursive: true }));

const event = (tool: string, more: Partial<NewAuditEvent> = {}): NewAuditEvent => ({
  ...defaultTenancy,
  kind: 'call',
  action: 'callTool',
  decision: 'allow',
  decisionId: `dec_${tool}`,
  policies: ['b', 'a'],
  person: 'admin',
  tool,
  outcome: 'ok',
  durationMs: 1.25,
  inputTokens: 7,
  facts: { paths: ['/x'], bytes: 3, nested: { b: 1, a: [{ d: 1.5, c: null }] } },
  ...more,
});
const sinkOf = () => checkpointFile(file);
const takeCheckpoints = () => createCheckpointer({ database, signer, sink: sinkOf(), logger })();
const verify = () => verifyAudit({ database, verifier: signer, sink: sinkOf() });
const kinds = async () => (await verify()).breaches.map(({ kind }) => kind);

/** Ten rows of calls in three commits, and the end of their chain where `closes`. @returns the sequences of the rows */
const writeCalls = async ({ closes = false } = {}): Promise<number[]> => {
  const writer = createAuditWriter({ database, log, logger, pauseMs: 1 });
  for (const size of [3, 4, 3]) {
    for (let index = 0; index < size; index += 1) writer.write(event(`tool-${index}`));
    await writer.drained();
  }
  if (closes) await writer.close();
  const { rows } = await database.$client.query('select sequence from audit_events order by sequence');
  return rows.map(({ sequence }) => Number(sequence));
};

/** What somebody does who has all rights: triggers and constraints are out of the way. */
const asIntruder = async (...statements: string[]): Promise<void> => {
  const client = await database.$client.connect();
  try {
    await client.query(`set session_replication_role = replica`);
    for (const statement of statements) await client.query(statement);
    await client.query(`reset session_replication_role`);
  } finally {
    client.release();
  }
};
const first = async () => (await verify()).breaches[0];

test('an audit as it was written verifies: calls, operations and changes, with whatever characters and numbers', async () => {
  await writeCalls({ closes: true });
  const operations = createOperationStore(database, log, deriveContentKeys(Buffer.alloc(32, 1).toString('base64'), 'operations'), 'one');
  const identity = (id: string) => ({ ...defaultTenancy, id, principal: 'agent:a', target: 'files/write', argumentsDigest: 'digest' });
  const intent = event('write', { kind: 'intent', outcome: 'pending' });
  // of ten that begin the same operation one does, and the commit has the row of that one alone
  await Promise.all(Array.from({ length: 10 }, () => operations.begin(identity('op_1'), intent)));
  await operations.settle(identity('op_1'), { content: 'x' }, event('write', { kind: 'outcome' }));
  await operations.close();
  await log.append(database, [event('odd', { resource: 'a\u0000b\ud800 \\u0000', facts: {}, durationMs: Number.NaN, person: null })]);
  await Promise.all(Array.from({ length: 12 }, (_, index) => log.append(database, [event(`change-${index}`, { kind: 'change' })])));
  await database
    .transaction(async (transaction) => {
      await log.append(transaction, [event('undone')]);
      transaction.rollback();
    })
    .catch(() => undefined);
  await log.close();
  expect(await takeCheckpoints()).toBeGreaterThan(2);
  expect(await verify()).toMatchObject({ ok: true, rows: 25, unsignedRows: 0, unclosed: [], breaches: [], hasOutsideCopy: true });
});

test('a chain without an end in order is named, and is no breach', async () => {
  await writeCalls();
  const { ok, unclosed, unsignedRows } = await verify();
  expect({ ok, unsignedRows }).toEqual({ ok: true, unsignedRows: 10 });
  expect(unclosed).toEqual([{ writer: log.writer, epoch: 9, link: 3, at: expect.any(String) }]);
});

test('a row that was changed is named', async () => {
  const sequences = await writeCalls();
  for (const change of [
    "tool = 'other'",
    "at = at + interval '1 microsecond'",
    'person = null',
    'facts = facts || \'{"bytes": 4}\'',
    'duration_ms = 1.5',
  ]) {
    await asIntruder(`create table saved as select * from audit_events where sequence = ${sequences[4]}`);
    await asIntruder(`update audit_events set ${change} where sequence = ${sequences[4]}`);
    expect(await first(), change).toMatchObject({ kind: 'row-changed', writer: log.writer, epoch: 9, link: 2, sequence: sequences[4] });
    await asIntruder(
      `delete from audit_events where sequence = ${sequences[4]}`,
      'insert into audit_events select * from saved',
      'drop table saved',
    );
  }
  expect(await kinds()).toEqual([]);
});

test('whatever a column of a row, of a commit or of a checkpoint says, a change of it is named', async () => {
  const sequences = await writeCalls({ closes: true });
  await takeCheckpoints();
  const { rows: columns } = await database.$client.query(
    `select table_name as table, column_name as name, data_type as type from information_schema.columns
     where table_schema = 'public' and table_name in ('audit_events', 'audit_links', 'audit_checkpoints') and is_generated = 'NEVER'`,
  );
  expect(columns.length).toBeGreaterThan(40);
  /** Another value of a type: what is not there comes to be, and what is there is another. */
  const other = (name: string, type: string): string => {
    const column = `"${name}"`;
    if (type === 'bytea') return `sha256(coalesce(${column}, 'x'))`;
    if (type === 'boolean') return `not coalesce(${column}, false)`;
    if (type === 'jsonb') return `'{"forged": true}'::jsonb`;
    if (type === 'ARRAY') return `array['forged']`;
    if (type.startsWith('timestamp')) return `coalesce(${column}, now()) + interval '1 second'`;
    if (/int|double|real|numeric/.test(type)) return `coalesce(${column}, 0) + 1000`;
    return `coalesce(${column}, '') || 'x'`;
  };
  const where = { audit_events: `sequence = ${sequences[4]}`, audit_links: 'number = 2', audit_checkpoints: 'true' };
  const unseen: string[] = [];
  for (const { table, name, type } of columns as { table: keyof typeof where; name: string; type: string }[]) {
    await asIntruder(`create table saved as select * from ${table}`);
    await asIntruder(`update ${table} set "${name}" = ${other(name, type)} where ${where[table]}`);
    if ((await kinds()).length === 0) unseen.push(`${table}.${name}`);
    await asIntruder(`delete from ${table}`, `insert into ${table} select * from saved`, 'drop table saved');
    expect(await kinds(), `${table}.${name}`).toEqual([]);
  }
  // when a commit was written each of its rows says, and that is signed
  expect(unseen).toEqual(['audit_links.at']);
});

test.each(['link = link + 1000', "at = at + interval '100 years'"])(
  'checkpoints that are moved (%s) so that no other one is taken are named, and the chain is not signed past them',
  async (move) => {
    const writer = createAuditWriter({ database, log, logger, pauseMs: 1 });
    const write = async (tool: string): Promise<void> => {
      writer.write(event(tool));
      await writer.drained();
    };
    const take = createCheckpointer({ database, signer, sink: sinkOf(), logger });
    await write('first');
    expect(await take()).toBe(1);
    await write('second');
    expect(await take()).toBe(1);
    expect(await kinds()).toEqual([]);
    await asIntruder(`update audit_checkpoints set ${move}`);
    await write('third');
    // whoever would write the third anew has no time for it unseen: that it is not signed is told
    expect(await take()).toBe(0);
    // another chain is signed all the same
    await log.append(database, [event('elsewhere')]);
    expect(await take()).toBe(1);
    expect(await kinds()).toContain('checkpoint-forged');
  },
);

test('a chain that was left unsigned is signed by whoever starts next, however long ago that was', async () => {
  await writeCalls();
  await takeCheckpoints();
  await log.append(database, [event('later')]);
  await asIntruder(`update audit_links set at = at - interval '1 day'`);
  expect((await verify()).unsignedRows).toBe(1);
  expect(await takeCheckpoints()).toBe(1);
  expect(await verify()).toMatchObject({ ok: true, unsignedRows: 0 });
});

test('a row that was changed with its digest, and a commit with its hash, are named', async () => {
  const sequences = await writeCalls();
  await asIntruder(`update audit_events set tool = 'other' where sequence = ${sequences[1]}`);
  await asIntruder(`update audit_events set digest = sha256('x') where sequence = ${sequences[1]}`);
  expect((await first())?.kind).toBe('row-changed');
  // the digest of what the row says now
  const { rows } = await database.$client.query('select digest from audit_events where tool = $1 and sequence <> $2', [
    'tool-0',
    sequences[1],
  ]);
  await asIntruder(
    `update audit_events set digest = '\\x${rows[0].digest.toString('hex')}', tool = 'tool-0', decision_id = 'dec_tool-0',
     at = (select at from audit_events where sequence = ${sequences[0]}) where sequence = ${sequences[1]}`,
  );
  expect(await first()).toMatchObject({ kind: 'link-changed', link: 1, sequence: sequences[0] });
  await asIntruder(
    `update audit_links set hash = sha256(previous || (select string_agg(digest, '' order by position) from audit_events where link = 1)) where number = 1`,
  );
  expect(await first()).toMatchObject({ kind: 'link-changed', link: 2, sequence: sequences[3] });
});

test('a row that is gone is named by the rows beside it', async () => {
  const sequences = await writeCalls();
  await asIntruder(`delete from audit_events where sequence = ${sequences[4]}`);
  expect(await first()).toMatchObject({
    kind: 'row-missing',
    link: 2,
    sequence: sequences[5],
    message: expect.stringContaining(`after row ${sequences[3]} (position 2)`),
  });
});

test('a row that was added is named, in a commit, in none, and in no chain', async () => {
  const sequences = await writeCalls();
  const columns =
    'at, kind, org, project, action, decision, decision_id, policies, person, tool, outcome, duration_ms, input_tokens, facts';
  const copy = (rest: string, values: string) =>
    `insert into audit_events (${columns}, ${rest}) select ${columns}, ${values} from audit_events where sequence = ${sequences[0]}`;
  await asIntruder(copy('writer, epoch, link, position, digest', 'writer, epoch, link, 4, digest'));
  expect(await first()).toMatchObject({ kind: 'row-inserted', link: 1 });
  await asIntruder(
    'delete from audit_events where position = 4 and link = 1',
    copy('writer, epoch, link, position, digest', 'writer, epoch, 99, 1, digest'),
  );
  expect(await first()).toMatchObject({ kind: 'row-inserted', link: 99 });
  await asIntruder(
    'delete from audit_events where link = 99',
    'alter table audit_events drop constraint audit_events_chained',
    copy('stamp', "'x'"),
  );
  expect(await first()).toMatchObject({ kind: 'row-inserted', writer: null, message: expect.stringContaining('no chain') });
});

test('rows that were put into another order are named', async () => {
  const sequences = await writeCalls();
  await asIntruder(
    `update audit_events set sequence = -1 where sequence = ${sequences[3]}`,
    `update audit_events set sequence = ${sequences[3]} where sequence = ${sequences[5]}`,
    `update audit_events set sequence = ${sequences[5]} where sequence = -1`,
  );
  expect(await first()).toMatchObject({ kind: 'rows-reordered', link: 2, sequence: expect.any(Number) });
});

test('a commit that is gone with its rows is named', async () => {
  await writeCalls();
  await asIntruder('delete from audit_events where link = 2', 'delete from audit_links where number = 2');
  expect(await first()).toMatchObject({ kind: 'link-missing', link: 2 });
});

test('an end that is cut off before the last checkpoint is named, though all that is left follows', async () => {
  await writeCalls({ closes: true });
  await takeCheckpoints();
  expect(await kinds()).toEqual([]);
  await asIntruder('delete from audit_events where link = 3', 'delete from audit_links where number >= 3');
  expect(await first()).toMatchObject({
    kind: 'tail-missing',
    link: 3,
    message: expect.stringContaining('had seen 4 commits, 2 are left'),
  });
  await asIntruder('delete from audit_events', 'delete from audit_links');
  expect(await first()).toMatchObject({ kind: 'tail-missing', link: 1 });
  // nor does it help to take the checkpoints along, for they stand in the file too
  await asIntruder('delete from audit_checkpoints');
  expect(await kinds()).toEqual(['checkpoint-missing', 'tail-missing']);
});

test('a chain that was written anew behind a checkpoint is named, and no checkpoint is signed over it', async () => {
  const sequences = await writeCalls();
  await takeCheckpoints();
  const intruder = openAuditLog(database, 'intruder');
  const writer = createAuditWriter({ database, log: intruder, logger, pauseMs: 1 });
  for (let index = 0; index < 3; index += 1) writer.write(event('forged'));
  await writer.drained();
  // the forged commit takes the place of the last true one, and what it follows from is set right
  await asIntruder(
    `delete from audit_events where sequence >= ${sequences[7]} and writer = '${log.writer}'`,
    `delete from audit_links where writer = '${log.writer}' and number = 3`,
    `update audit_events set writer = '${log.writer}', link = 3 where writer = '${intruder.writer}'`,
    `update audit_links set writer = '${log.writer}', number = 3, previous = (select hash from audit_links where writer = '${log.writer}' and number = 2)
     where writer = '${intruder.writer}'`,
    `update audit_links set hash = sha256(previous || (select string_agg(digest, '' order by position) from audit_events where link = 3)) where number = 3`,
  );
  expect(await first()).toMatchObject({ kind: 'chain-replaced', link: 3 });
  await asIntruder(
    `insert into audit_links select writer, epoch, 4, 0, hash, sha256(hash), false, now() from audit_links where number = 3`,
  );
  expect(await takeCheckpoints()).toBe(0);
});

test('checkpoints are made again only with the key: a forged, a changed and a lost one are named', async () => {
  await writeCalls();
  await takeCheckpoints();
  await asIntruder(
    `insert into audit_checkpoints select number + 1, writer, epoch, link, replace(statement, '"number":1', '"number":2'), signature from audit_checkpoints`,
  );
  expect(await kinds()).toEqual(['checkpoint-forged']);
  await asIntruder('delete from audit_checkpoints where number = 2');
  expect(await kinds()).toEqual([]);
  const kept = readFileSync(file, 'utf8');
  writeFileSync(file, kept.replace('\\"link\\":3', '\\"link\\":2'));
  expect(await kinds()).toEqual(['checkpoint-forged']);
  await log.append(database, [event('more')]);
  writeFileSync(file, kept);
  await takeCheckpoints();
  writeFileSync(file, readFileSync(file, 'utf8').split('\n').slice(1).join('\n'));
  expect(await kinds()).toEqual(['checkpoint-missing']);
});

test('a line of the file that a crash cut off is no checkpoint, and the next one stands on a line of its own', async () => {
  await writeCalls();
  await takeCheckpoints();
  appendFileSync(file, '{"statement":"{\\"vers');
  await log.append(database, [event('more')]);
  await takeCheckpoints();
  expect(await verify()).toMatchObject({ ok: true, checkpoints: 2 });
});

test('a chain whose commit nobody knows the end of is left, and another one begins', async () => {
  let isLost = false;
  const losing = {
    query: async (query: never) => {
      const answer = await database.$client.query(query);
      if (isLost) throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
      return answer;
    },
  };
  const keys = deriveContentKeys(Buffer.alloc(32, 1).toString('base64'), 'operations');
  const store = createOperationStore(database, log, keys, 'losing', { writer: losing as never });
  const identity = (id: string) => ({ ...defaultTenancy, id, principal: 'a', target: 't', argumentsDigest: 'd' });
  const intent = event('write', { kind: 'intent', outcome: 'pending' });
  await store.begin(identity('op_1'), intent);
  isLost = true;
  await expect(store.begin(identity('op_2'), intent)).rejects.toMatchObject({ code: 'store_unavailable' });
  isLost = false;
  await store.begin(identity('op_3'), intent);
  expect(await verify()).toMatchObject({ ok: true, rows: 3, chains: 2 });
});

test('a commit of calls whose answer was lost is tried again, and takes effect once', async () => {
  let lost = 2;
  const lossy = new Proxy(database.$client, {
    get: (pool, name) => {
      if (name !== 'query') return Reflect.get(pool, name);
      return async (...given: unknown[]) => {
        const answer = await (pool.query as (...all: unknown[]) => Promise<unknown>)(...given);
        lost -= 1;
        if (lost >= 0) throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
        return answer;
      };
    },
  });
  const writer = createAuditWriter({ database: { $client: lossy } as never, log, logger, retryDelayMs: 1 });
  writer.write(event('a'));
  await writer.drained();
  writer.write(event('b'));
  await writer.drained();
  expect(await verify()).toMatchObject({ ok: true, rows: 2, links: 2 });
});
