import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { originalKey, type SealedName } from '../../schema/seal-key.ts';
import { createAuditPeople } from '../../store/audit-people.ts';
import { createBackendClientStore } from '../../store/backend-clients.ts';
import { createGrantStore } from '../../store/backend-grants.ts';
import { createMcpAnswerStore } from '../../store/mcp-answers.ts';
import { operationText, readOperationOutcome } from '../../store/operation-outcome.ts';
import { createRewrapper } from '../../store/rewrap-sealed.ts';
import { askForSealKey, listSealKeys, retireSealKey } from '../../store/seal-keys.ts';
import { openSealRing, type SealRing } from '../../store/seal-ring.ts';
import { deriveContentKeys, seal } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { pollUntil } from '../support/poll-until.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database, url } = useTestDatabase();
const master = Buffer.alloc(32, 3).toString('base64');
const logger = createLogger({ name: 'test', level: 'silent' });
const place = { org: 'acme', project: 'lab' };
const rings: SealRing[] = [];

const openRing = async (name: SealedName, options: { master?: string; sealsAfterMs?: number } = {}): Promise<SealRing> => {
  const ring = await openSealRing({ database: database(), name, master, logger, pollMs: 20, sealsAfterMs: 0, ...options });
  rings.push(ring);
  return ring;
};
const rotate = async (ring: SealRing): Promise<string> => {
  const id = await askForSealKey(database(), ring.name);
  await pollUntil(async () => ring.currentId() === id || undefined, 'the new key seals');
  return id;
};
const rewrapAll = async (ring: SealRing): Promise<number> => {
  const rewrap = createRewrapper({ database: database(), ring, logger });
  for (let all = 0; ; ) {
    const { rewrapped, isDone } = await rewrap();
    all += rewrapped;
    if (isDone) return all;
  }
};
const standing = async (name: SealedName) =>
  Object.fromEntries((await listSealKeys(database(), name)).map(({ id, state, rows }) => [id, `${state} ${rows}`]));
const keyOf = (id: string) => ({ ...place, principal: 'agent:a', id });
/** Outcomes as the gateway keeps them, each bound to its operation. */
const putOutcomes = async (ring: Pick<SealRing, 'keys'>, from: number, to: number): Promise<void> => {
  for (let index = from; index < to; index += 1) {
    const outcome = seal(ring.keys('operations'), Buffer.from(JSON.stringify({ index })), operationText(keyOf(`op_${index}`)));
    await database().execute(sql`insert into operations (org, project, id, principal, target, arguments_digest, state, gateway_instance, outcome)
      values ('acme', 'lab', ${`op_${index}`}, 'agent:a', 't', 'd', 'settled', 'i', ${outcome})`);
  }
};
const readAll = async (ring: SealRing, count: number): Promise<unknown[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => readOperationOutcome(database(), ring.keys('operations'), keyOf(`op_${index}`))));
const expected = (count: number) => Array.from({ length: count }, (_, index) => ({ index }));

beforeEach(async () => {
  await database().execute(sql`truncate seal_keys, operations, mcp_answers, backend_grants, backend_clients, audit_people`);
});
afterEach(async () => {
  await Promise.all(rings.splice(0).map((ring) => ring.close()));
});

test('what was sealed before a rotation, and with the original key, opens all along; then it stands on the new key alone', async () => {
  const ring = await openRing('gateway');
  await putOutcomes({ keys: (purpose) => deriveContentKeys(master, purpose) }, 0, 150);
  await createMcpAnswerStore(database(), ring.keys('mcp-state')).leave('question', 'an answer');
  const first = await rotate(ring);
  await putOutcomes(ring, 150, 250);
  const second = await rotate(ring);
  await putOutcomes(ring, 250, 260);
  expect(await standing('gateway')).toEqual({ [originalKey]: 'old 151', [first]: 'old 100', [second]: 'active 10' });
  expect(await readAll(ring, 260)).toEqual(expected(260));
  expect(await rewrapAll(ring)).toBe(251);
  expect(await standing('gateway')).toEqual({ [originalKey]: 'old 0', [first]: 'old 0', [second]: 'active 261' });
  // a process that starts now reads the same
  expect(await readAll(await openRing('gateway'), 260)).toEqual(expected(260));
  expect([...(await createMcpAnswerStore(database(), ring.keys('mcp-state')).take(['question'])).values()]).toEqual(['an answer']);
});

test('a row of an earlier release gets the context of today with its new key, and a row of another place is not sealed anew', async () => {
  const ring = await openRing('gateway');
  const keys = ring.keys('operations');
  const insert = (id: string, sealed: Buffer) =>
    database().execute(sql`insert into operations (org, project, id, principal, target, arguments_digest, state, gateway_instance, outcome)
      values ('acme', 'lab', ${id}, 'agent:a', 't', 'd', 'settled', 'i', ${sealed})`);
  await insert('op_0', seal(keys, Buffer.from('{"index":0}'), 'acme/lab/operation/op_0'));
  await insert('op_1', seal(keys, Buffer.from('{"index":0}'), 'acme/lab/operation/op_0'));
  const id = await rotate(ring);
  expect(await rewrapAll(ring)).toBe(1);
  expect(await standing('gateway')).toEqual({ [originalKey]: 'old 1', [id]: 'active 1' });
  expect(await readOperationOutcome(database(), ring.keys('operations'), keyOf('op_0'))).toEqual({ index: 0 });
  await expect(readOperationOutcome(database(), ring.keys('operations'), keyOf('op_1'))).rejects.toMatchObject({
    code: 'secret_unavailable',
  });
});

test('grants and who stands behind pseudonyms are sealed anew and say the same, under the same digest', async () => {
  const grants = await openRing('grants');
  const people = await openRing('people');
  const store = createGrantStore(database(), grants.keys('grants'));
  const grant = {
    ...place,
    server: 'files',
    personId: 'ada',
    serverUid: 'u',
    url: 'https://files.example',
    issuer: 'https://idp.example',
    resource: 'r',
    scopes: [],
    expiresAt: null,
  };
  await store.put({ ...grant, tokens: { accessToken: 'a', refreshToken: 'r' } });
  const clients = createBackendClientStore(database(), grants.keys('grants'));
  await clients.put({ ...place, server: 'files' }, 'https://idp.example', { client_id: 'c' });
  const audit = createAuditPeople({ database: database(), keys: people.keys('audit-people') });
  const pseudonym = await audit.pseudonymOf({ org: 'acme', id: 'ada' });
  await rotate(grants);
  await rotate(people);
  expect([await rewrapAll(grants), await rewrapAll(people)]).toEqual([2, 1]);
  expect((await store.find({ ...place, server: 'files', personId: 'ada' }))?.tokens).toEqual({ accessToken: 'a', refreshToken: 'r' });
  expect(await clients.find({ ...place, server: 'files' }, 'https://idp.example')).toEqual({ client_id: 'c' });
  const other = createAuditPeople({ database: database(), keys: people.keys('audit-people') });
  expect(await other.find({ org: 'acme', id: 'ada' })).toBe(pseudonym);
  expect((await other.resolve('acme', [pseudonym])).get(pseudonym)).toBe('ada');
});

test('a key that a row stands on, that seals, or that a client may hold a text of, is not retired; a retired one is gone for good', async () => {
  const ring = await openRing('gateway');
  await putOutcomes(ring, 0, 3);
  const id = await rotate(ring);
  const retire = (key: string, at = new Date()) => retireSealKey(database(), { name: 'gateway', id: key }, at, 60_000);
  const later = new Date(Date.now() + 120_000);
  await expect(retire(originalKey, later)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('3 rows still stand on it'),
  });
  await expect(retire(id, later)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('it is active') });
  await expect(retire('0000000000000000')).rejects.toMatchObject({ code: 'not_found' });
  const kept = (await database().$client.query('select outcome from operations where id = $1', ['op_0'])).rows[0].outcome as Buffer;
  await rewrapAll(ring);
  await expect(retire(originalKey)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('clients may hold texts') });
  await retire(originalKey, later);
  expect(await standing('gateway')).toEqual({ [originalKey]: 'retired 0', [id]: 'active 3' });
  expect(await readAll(await openRing('gateway'), 3)).toEqual(expected(3));
  // a copy of a row from before opens for nobody any more
  await database().$client.query('update operations set outcome = $1 where id = $2', [kept, 'op_0']);
  const fresh = await openRing('gateway');
  await expect(readOperationOutcome(database(), fresh.keys('operations'), keyOf('op_0'))).rejects.toMatchObject({
    code: 'secret_unavailable',
  });
});

test('two who ask at once get one key, and of many processes one makes it', async () => {
  const ids = await Promise.all(Array.from({ length: 8 }, () => askForSealKey(database(), 'gateway')));
  expect(new Set(ids).size).toBe(1);
  const opened = await Promise.all(Array.from({ length: 6 }, () => openRing('gateway')));
  await pollUntil(async () => opened.every((ring) => ring.currentId() === ids[0]) || undefined, 'all seal with it');
  await putOutcomes(opened[0] as SealRing, 0, 1);
  for (const ring of opened) expect(await readAll(ring, 1)).toEqual(expected(1));
});

test('a key is read by all before it seals', async () => {
  const ring = await openRing('gateway', { sealsAfterMs: 3_600_000 });
  const id = await askForSealKey(database(), 'gateway');
  await pollUntil(async () => (await standing('gateway'))[id] === 'next 0' || undefined, 'the key is made');
  await putOutcomes(ring, 0, 1);
  expect(await standing('gateway')).toEqual({ [id]: 'next 0', [originalKey]: 'active 1' });
});

test('another wrapping key opens no ring', async () => {
  await rotate(await openRing('gateway'));
  await expect(openRing('gateway', { master: Buffer.alloc(32, 4).toString('base64') })).rejects.toMatchObject({
    code: 'secret_unavailable',
  });
});

test('rows that others hold are left for the next round, and of two at once one works', async () => {
  const ring = await openRing('gateway');
  await putOutcomes(ring, 0, 5);
  await rotate(ring);
  const client = await database().$client.connect();
  await client.query("begin; select from operations where id = 'op_2' for update");
  const [one, two] = [createRewrapper({ database: database(), ring, logger }), createRewrapper({ database: database(), ring, logger })];
  const done = await Promise.all([one(), two()]);
  expect(done.map(({ rewrapped }) => rewrapped).sort()).toEqual([0, 4]);
  await client.query('rollback');
  client.release();
  expect(await rewrapAll(ring)).toBe(1);
});

test('killed at any moment, every row opens, and whoever comes next ends it', async () => {
  const ring = await openRing('gateway');
  await putOutcomes(ring, 0, 400);
  const id = await rotate(ring);
  const script = `
    import { openDatabase } from './store/database.ts';
    import { createRewrapper } from './store/rewrap-sealed.ts';
    import { openSealRing } from './store/seal-ring.ts';
    import { createLogger } from './telemetry/logger.ts';
    const logger = createLogger({ name: 'test', level: 'silent' });
    const database = openDatabase({ url: ${JSON.stringify(url())}, max: 2, name: 'killed' });
    const ring = await openSealRing({ database, name: 'gateway', master: ${JSON.stringify(master)}, logger });
    const rewrap = createRewrapper({ database, ring, logger });
    console.log('ready');
    process.stdin.once('data', async (batches) => {
      for (let left = Number(batches); left > 0; left -= 1) console.log((await rewrap()).rewrapped);
    });`;
  const waiting = `from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ilike 'update%operations%'`;
  const ask = async (text: string): Promise<unknown[]> => (await database().$client.query(text)).rows;
  // between two batches, and twice in the middle of one: somebody lets nobody write, so it stands where it has locked its rows
  for (const kill of ['between', 'within', 'within']) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const client = await database().$client.connect();
    if (kill === 'between') {
      child.stdin.write('1');
      await once(child.stdout, 'data');
    } else {
      await client.query('begin; lock table operations in share mode');
      child.stdin.write('9');
      await pollUntil(async () => (await ask(`select 1 ${waiting}`)).length > 0 || undefined, 'a row to be written');
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    // with the machine of a killed process its connection goes too
    await ask(`select pg_terminate_backend(pid) ${waiting}`);
    await client.query('rollback');
    client.release();
    expect(await readAll(ring, 400)).toEqual(expected(400));
  }
  // some are done, and not all
  expect(await standing('gateway')).toMatchObject({ [originalKey]: 'old 300', [id]: 'active 100' });
  await pollUntil(
    async () => ((await rewrapAll(ring)) >= 0 && (await standing('gateway'))[id] === 'active 400') || undefined,
    'all stands on it',
  );
});

test('of large tables a part is read, and what stands on a key is estimated; a key is retired only after all rows were looked at', async () => {
  const ring = await openRing('gateway');
  await putOutcomes(ring, 0, 1);
  const id = await rotate(ring);
  const outcome = seal(ring.keys('operations'), Buffer.from('x'.repeat(500)), 'any');
  await database().execute(sql`insert into operations (org, project, id, principal, target, arguments_digest, state, gateway_instance, outcome)
    select 'acme', 'lab', 'many_' || i, 'agent:a', 't', 'd', 'settled', 'i', ${outcome} from generate_series(1, 20000) i`);
  const rowsOf = async (mostBytes: number) => (await listSealKeys(database(), 'gateway', mostBytes)).find((key) => key.id === id);
  expect(await rowsOf(Number.POSITIVE_INFINITY)).toMatchObject({ rows: 20_000, isEstimate: false });
  const estimated = await rowsOf(2_000_000);
  expect(estimated?.isEstimate).toBe(true);
  expect(estimated?.rows).toBeGreaterThan(10_000);
  expect(estimated?.rows).toBeLessThan(40_000);
  await expect(retireSealKey(database(), { name: 'gateway', id: originalKey }, new Date(Date.now() + 1000), 0)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('1 rows still stand on it'),
  });
});
