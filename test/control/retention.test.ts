import { createHash, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { explainRecorded } from '../../control/api/explain-recorded.ts';
import { createRetentionSweep } from '../../control/controller/sweep-retention.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import type { Tenancy } from '../../schema/ids.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { apiVersion } from '../../schema/resources/metadata.ts';
import { queryAudit } from '../../store/audit.ts';
import { exportAudit } from '../../store/audit-export.ts';
import { createAuditSigner, makeAuditKey } from '../../store/audit-key.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import { verifyAudit } from '../../store/audit-verify.ts';
import { verifyExport } from '../../store/audit-verify-export.ts';
import { createContentStore } from '../../store/contents.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { createDecisionFactsWriter, insertDecisionFacts, readDecisionFacts } from '../../store/decision-facts.ts';
import { createOperationStore } from '../../store/operations.ts';
import { removeOld } from '../../store/remove-old.ts';
import { applyResources } from '../../store/resources.ts';
import { findRemoved } from '../../store/retention-progress.ts';
import { insertRun, moveRun } from '../../store/runs.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { ensureServiceRole } from '../../store/service-role.ts';
import { appendToTranscript, beginTranscript, loadTranscript } from '../../store/transcripts.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { startTestDatabase } from '../support/postgres.ts';

const logger = createLogger({ name: 'test', level: 'silent' });
const signer = createAuditSigner(makeAuditKey());
const dayMs = 86_400_000;
const lab: Tenancy = { org: 'default', project: 'lab' };
const other: Tenancy = { org: 'default', project: 'other' };
let url: string;
let database: Database;
let drop: () => Promise<void>;
let log: AuditLog;

beforeEach(async () => {
  ({ url, close: drop } = await startTestDatabase());
  database = openDatabase({ url, max: 20, name: 'test' });
  log = openAuditLog(database, 'gateway');
});
afterEach(async () => {
  vi.useRealTimers();
  await closeDatabase(database);
  await drop();
});

const call = (tenancy: Tenancy, tool: string, more: Partial<NewAuditEvent> = {}): NewAuditEvent => ({
  ...tenancy,
  kind: 'call',
  action: 'callTool',
  decision: 'allow',
  decisionId: `dec_${tool}`,
  person: 'admin',
  tool,
  outcome: 'ok',
  facts: { bytes: 3 },
  ...more,
});
/** Writes as if it were so many days ago: a row says when it was by the clock of its writer. */
const daysAgo = async (days: number, work: () => Promise<unknown>): Promise<void> => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - days * dayMs });
  await work();
  vi.useRealTimers();
};
const declare = (tenancy: Tenancy, retention: object) =>
  applyResources(database, [
    resourceSchemas.Project.parse({ apiVersion, kind: 'Project', metadata: { ...tenancy, name: tenancy.project }, spec: { retention } }),
  ]);
const contents = () => createContentStore(database, deriveContentKeys(Buffer.alloc(32, 3).toString('base64'), 'content'));
const sweepAfter = (days: number) =>
  createRetentionSweep({ database, audit: log, contents: contents(), clock: () => new Date(Date.now() + days * dayMs), logger })();
const verify = () => verifyAudit({ database, verifier: signer });
const toolsOf = async (tenancy: Tenancy) => (await queryAudit(database, tenancy, { limit: 5000, kind: 'call' })).map(({ tool }) => tool);
/** What somebody does who has all rights: triggers are out of the way. */
const asIntruder = async (...statements: string[]): Promise<void> => {
  const client = await database.$client.connect();
  try {
    await client.query('set session_replication_role = replica');
    for (const statement of statements) await client.query(statement);
    await client.query('reset session_replication_role');
  } finally {
    client.release();
  }
};

/** Of two projects forty old rows each, in commits that they share, and a new one each. */
const writeRows = async (): Promise<void> => {
  await daysAgo(40, async () => {
    for (let index = 0; index < 20; index += 1)
      await log.append(database, [call(lab, `old-${index}`), call(other, 'theirs'), call(lab, 'old'), call(other, 'theirs')]);
  });
  await log.append(database, [call(lab, 'new'), call(other, 'new')]);
};

test('old rows of a project go, those of others stay, and the audit says what went and still verifies', async () => {
  await writeRows();
  await declare(lab, { auditDays: 30 });
  await sweepAfter(0);
  expect(await toolsOf(lab)).toEqual(['new']);
  expect((await toolsOf(other)).length).toBe(41);
  const found = await verify();
  expect(found).toMatchObject({ ok: true, breaches: [], removed: [{ ...lab, rows: 40 }] });
  // nothing more is to be done, and nothing more is put on record
  await sweepAfter(1);
  expect((await verify()).rows).toBe(found.rows);
  expect(await findRemoved(database, lab, 'audit')).toMatchObject({ rows: 40 });
});

test('small batches, two controllers at once and kills in the middle take every old row once', async () => {
  await writeRows();
  const batch = (client: Database) =>
    removeOld({ database: client, audit: openAuditLog(client) }, lab, 'audit', {
      before: new Date(Date.now() - 30 * dayMs),
      at: new Date(),
      limit: 3,
    });
  const killed = openDatabase({ url, max: 2, name: 'killed' });
  killed.$client.on('error', () => undefined);
  const { rows: before } = await database.$client.query('select count(*)::int as count from audit_events');
  let gone = 0;
  for (let round = 0; gone < 40; round += 1) {
    const both = await Promise.all([batch(database), batch(database)]);
    gone += both[0] + both[1];
    if (round % 3 !== 0) continue;
    // a process that is killed after the rows went, and before it was committed
    const client = await killed.$client.connect();
    client.on('error', () => undefined);
    const { rows } = await client.query('select pg_backend_pid() as pid');
    await client.query('begin');
    await client.query("select * from remove_audit_rows('default', 'lab', now() - interval '30 days', 3, 'dec_killed')");
    await database.$client.query('select pg_terminate_backend($1)', [rows[0].pid]);
    client.release(true);
  }
  await closeDatabase(killed);
  expect(gone).toBe(40);
  const found = await verify();
  expect(found).toMatchObject({ ok: true, removed: [{ rows: 40 }] });
  const { rows: left } = await database.$client.query(
    "select count(*)::int as count from audit_events where action <> 'removeByRetention'",
  );
  expect(left[0].count).toBe(before[0].count - 40);
});

test('a removal waits for nobody who writes, and nobody who writes waits for it', async () => {
  await writeRows();
  const client = await database.$client.connect();
  await client.query('begin');
  await client.query("select * from remove_audit_rows('default', 'lab', now() - interval '30 days', 10, 'dec_open')");
  await log.append(database, [call(lab, 'meanwhile')]);
  expect(await toolsOf(lab)).toContain('meanwhile');
  await client.query('rollback');
  client.release();
});

test('a row that was taken out by hand is tampering, whatever is left in its place', async () => {
  await writeRows();
  const { rows } = await database.$client.query("select sequence from audit_events where project = 'lab' order by sequence limit 3");
  const [first, , second] = rows.map(({ sequence }) => sequence);
  const copy = (sequence: number, removal: string) =>
    `insert into audit_removed select sequence, org, project, writer, epoch, link, position, digest, '${removal}' from audit_events where sequence = ${sequence}`;
  await asIntruder(copy(first, 'dec_by_hand'), `delete from audit_events where sequence = ${first}`);
  expect((await verify()).breaches).toMatchObject([
    { kind: 'row-missing', sequence: Number(first), message: expect.stringContaining('no row of the chain says that retention did') },
  ]);
  await asIntruder("delete from audit_removed where removal = 'dec_by_hand'");
  expect((await verify()).breaches[0]?.kind).toBe('row-missing');
  // nor does it hide behind a removal that is on record
  await asIntruder(`create table saved as select * from audit_events where sequence = ${second}`);
  await declare(lab, { auditDays: 30 });
  await sweepAfter(0);
  const { rows: removals } = await database.$client.query('select distinct removal from audit_removed');
  const { rows: fresh } = await database.$client.query(
    "select sequence from audit_events where project = 'other' order by sequence limit 1",
  );
  await asIntruder(
    `insert into audit_removed select sequence, 'default', 'lab', writer, epoch, link, position, digest, '${removals[0].removal}' from audit_events where sequence = ${fresh[0].sequence}`,
    `delete from audit_events where sequence = ${fresh[0].sequence}`,
  );
  expect((await verify()).breaches.map(({ message }) => message).join()).toContain('are not the same');
  // what is left of a row is part of the chain, too
  await asIntruder(`update audit_removed set digest = sha256('x') where sequence = ${second}`);
  expect((await verify()).breaches.map(({ kind }) => kind)).toContain('link-changed');
});

test('an export verifies elsewhere after rows went, and a line that is made to look removed is found', async () => {
  await writeRows();
  await declare(lab, { auditDays: 30 });
  await sweepAfter(0);
  const take = async () => {
    const lines: string[] = [];
    for await (const line of exportAudit(database, lab, signer.publicKey, new Date())) lines.push(line.trimEnd());
    return lines;
  };
  async function* each(lines: string[]) {
    yield* lines;
  }
  const whole = await take();
  expect(await verifyExport(each(whole), signer.publicKey)).toMatchObject({ ok: true, removed: [{ ...lab, rows: 40 }] });
  const forged = whole.slice(0, -1).map((line) => {
    const { type, event, at: _at, ...place } = JSON.parse(line);
    return type === 'row' && event.tool === 'new' ? JSON.stringify({ type: 'removed', ...place, removal: 'dec_mine' }) : line;
  });
  const digest = createHash('sha256')
    .update(forged.map((line) => `${line}\n`).join(''))
    .digest('hex');
  const end = JSON.stringify({ type: 'end', lines: forged.length, digest });
  expect((await verifyExport(each([...forged, end]), signer.publicKey)).breaches).toMatchObject([{ kind: 'row-missing' }]);
});

test('the role of the processes takes old rows out by the one function alone, and none younger than a day by whatever means', async () => {
  await writeRows();
  const serviceUrl = (await ensureServiceRole(url, 'x'.repeat(20))) as string;
  const service = openDatabase({ url: serviceUrl, name: 'test' });
  const refused = (statement: string) =>
    expect(service.$client.query(statement), statement).rejects.toThrow(/permission denied|younger than a day/);
  await refused("insert into audit_removed select sequence, org, project, writer, epoch, link, position, digest, 'x' from audit_events");
  await refused('delete from audit_removed');
  await refused('delete from audit_events');
  await refused("select * from remove_audit_rows('default', 'lab', now(), 10, 'x')");
  const serviceLog = openAuditLog(service, 'control');
  expect(
    await removeOld({ database: service, audit: serviceLog }, lab, 'audit', { before: new Date(Date.now() - 30 * dayMs), at: new Date() }),
  ).toBe(40);
  expect((await verify()).breaches).toEqual([]);
  // called without a row of the audit that says so, it is tampering
  await service.$client.query("select * from remove_audit_rows('default', 'other', now() - interval '30 days', 1, 'dec_quiet')");
  expect((await verify()).breaches).toMatchObject([{ kind: 'row-missing' }]);
  await closeDatabase(service);
  const role = decodeURIComponent(new URL(serviceUrl).username);
  await database.$client.query(`drop owned by "${role}"`);
  await database.$client.query(`drop role "${role}"`);
});

test('a project on hold loses nothing, and publications of policies and removals are never removed', async () => {
  await daysAgo(40, () =>
    log.append(database, [
      call(lab, 'old'),
      call(lab, 'set', { kind: 'change', action: 'applyResource', facts: { change: 'published', version: 3 } }),
    ]),
  );
  await declare(lab, { auditDays: 1, hold: true });
  await sweepAfter(0);
  expect(await toolsOf(lab)).toEqual(['old']);
  await declare(lab, { auditDays: 1, hold: false });
  await daysAgo(5, () => removeOld({ database, audit: log }, lab, 'audit', { before: new Date(Date.now() - 30 * dayMs), at: new Date() }));
  expect(await toolsOf(lab)).toEqual([]);
  await sweepAfter(0);
  const { rows } = await database.$client.query('select action from audit_events order by sequence');
  expect(rows.map(({ action }) => action)).toEqual(['applyResource', 'removeByRetention']);
  expect((await verify()).breaches).toEqual([]);
});

test('facts of decisions go when no decision was made on them for so long, and explaining says who took them', async () => {
  const digests = ['policies', 'principal', 'resource', 'surroundings'];
  const basis = `allow callTool exact ${digests.join(' ')}`;
  await insertDecisionFacts(
    database,
    digests.map((digest) => ({ ...lab, digest, value: { digest } })),
  );
  await daysAgo(5, () => log.append(database, [call(lab, 'explained', { basis })]));
  await database.$client.query("update decision_facts set used_at = now() - interval '4 days'");
  // one of them was used again since
  const writer = createDecisionFactsWriter({ database, logger });
  writer.note(lab, 'other basis', () => [{ digest: 'principal', value: { digest: 'principal' } }]);
  await writer.drained();
  await declare(lab, { decisionFactDays: 3 });
  await sweepAfter(0);
  expect([...(await readDecisionFacts(database, lab, digests)).keys()]).toEqual(['principal']);
  const { notes } = await explainRecorded({ database, audit: log }, lab, 'dec_explained');
  expect(notes.join()).toContain(`removed by retention of project default/lab on ${new Date().toISOString().slice(0, 10)}`);
});

test('what operations ended with goes, and that they were made stays: a retry is told so, and nothing is made again', async () => {
  const store = createOperationStore(database, log, deriveContentKeys(Buffer.alloc(32, 4).toString('base64'), 'operations'), 'test');
  const identity = (id: string) => ({ ...lab, principal: 'agent:a', id, target: 'mail/send', argumentsDigest: 'd' });
  const [old, fresh, open] = ['op_old', 'op_fresh', 'op_open'].map(identity);
  if (!old || !fresh || !open) throw new Error('three');
  for (const each of [old, fresh, open])
    expect(await store.begin(each, call(lab, each.id, { kind: 'intent' }))).toEqual({ kind: 'started' });
  for (const each of [old, fresh]) await store.settle(each, { kind: 'result', result: { secret: each.id } }, call(lab, each.id));
  await database.$client.query("update operations set settled_at = now() - interval '10 days' where id = 'op_old'");
  await declare(other, { outcomeDays: 1 });
  await sweepAfter(0);
  expect(await store.begin(old, call(lab, 'retry'))).toMatchObject({ kind: 'settled' });
  await declare(lab, { outcomeDays: 5, hold: true });
  await sweepAfter(0);
  expect(await store.begin(old, call(lab, 'retry'))).toMatchObject({ kind: 'settled' });
  await declare(lab, { outcomeDays: 5 });
  await sweepAfter(0);
  // also with other arguments it is what it was
  expect(await store.begin(old, call(lab, 'retry'))).toEqual({ kind: 'forgotten' });
  expect(await store.begin({ ...old, argumentsDigest: 'other' }, call(lab, 'retry'))).toEqual({ kind: 'conflict' });
  expect(await store.begin(fresh, call(lab, 'retry'))).toMatchObject({ kind: 'settled', outcome: { result: { secret: 'op_fresh' } } });
  expect(await store.begin(open, call(lab, 'retry'))).toMatchObject({ kind: 'in-progress' });
  const { rows } = await database.$client.query("select outcome, arguments_digest from operations where id = 'op_old'");
  expect(rows).toEqual([{ outcome: null, arguments_digest: 'd' }]);
  expect((await findRemoved(database, lab, 'outcomes'))?.rows).toBe(1);
  await store.close();
  await log.close();
  expect((await verify()).breaches).toEqual([]);
});

test('a gateway that goes on using the same facts puts them down again before retention takes them', async () => {
  let nowMs = Date.now();
  const noted: string[] = [];
  const writer = createDecisionFactsWriter({
    database,
    logger,
    now: () => nowMs,
    insert: async (facts) => void noted.push(...facts.map(({ digest }) => digest)),
  });
  const note = () => writer.note(lab, 'basis', () => [{ digest: 'a', value: 1 }]);
  note();
  note();
  await writer.drained();
  nowMs += dayMs / 2;
  note();
  await writer.drained();
  expect(noted).toEqual(['a', 'a']);
});

const run = (id: string, inputsDigest: string) => ({
  ...lab,
  id,
  fleet: 'survey',
  snapshot: {} as never,
  inputsDigest,
  volumes: [],
  outputDirectory: null,
  quality: 'standard' as const,
  startedBy: 'admin',
  launchDecisionId: 'dec_1',
});

test('documents go when they were not used for so long; what a run that goes on or an open fix refers to stays whole', async () => {
  const store = contents();
  const keep = async (name: string) => store.put(lab, name, 'test');
  const agent = async (runId: string) => {
    const transcript = await appendToTranscript(store, lab, await beginTranscript(store, lab, { of: runId }), [
      `${runId} says`,
      randomUUID(),
    ]);
    const [input, output] = [await keep(`${runId} in`), await keep(`${runId} out`)];
    await insertRun(database, run(runId, await keep(`${runId} inputs`)));
    await database.$client.query(
      `insert into agents (id, org, project, run_id, stage, role, ordinal, state, input_digest, output_digest, transcript_digest, limits)
       values ($1, 'default', 'lab', $1, 's', 'r', 0, 'running', $2, $3, $4, '{}')`,
      [runId, input, output, transcript],
    );
    return { transcript, input, output };
  };
  const live = await agent('run_live');
  const done = await agent('run_done');
  await moveRun(database, { ...lab, id: 'run_done' }, ['starting'], 'running');
  await moveRun(database, { ...lab, id: 'run_done' }, ['running'], 'succeeded');
  const [evidence, loose] = [await keep('evidence'), await keep('loose')];
  await database.$client.query(
    `insert into reconcile_fixes (org, project, target, id, fingerprint, fault_kind, state, evidence_digest) values ('default', 'lab', 't', 'fix', 'f', 'k', 'proposed', $1)`,
    [evidence],
  );
  await store.put(other, 'theirs', 'test');
  await declare(lab, { contentDays: 7 });
  await sweepAfter(6);
  expect(await store.get(lab, loose)).toBe('loose');
  await sweepAfter(8);
  expect(await loadTranscript(store, lab, live.transcript)).toMatchObject({ entries: ['run_live says', expect.any(String)] });
  expect(await store.get(lab, live.input)).toBe('run_live in');
  expect(await store.get(lab, live.output)).toBe('run_live out');
  expect(await store.get(lab, evidence)).toBe('evidence');
  for (const digest of [loose, done.input, done.output, done.transcript])
    await expect(store.get(lab, digest)).rejects.toMatchObject({
      code: 'content_missing',
      message: expect.stringContaining('removed by retention of project default/lab on'),
    });
  const { rows } = await database.$client.query("select count(*)::int as count from contents where project = 'other'");
  expect(rows[0].count).toBe(1);
  // what is kept once more after it was taken is there again
  expect(await store.get(lab, await store.put(lab, 'loose', 'test'))).toBe('loose');
});
