import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { beforeEach, describe, expect, test } from 'vitest';
import { createContentStore } from '../../store/contents.ts';
import { listOrgKeys } from '../../store/list-org-keys.ts';
import { createOrgKeys } from '../../store/org-keys.ts';
import { createContentResealer } from '../../store/reseal-contents.ts';
import { deriveContentKeys, keyedDigest, seal } from '../../store/secrets/seal.ts';
import { shredOrgKeys } from '../../store/shred-org-keys.ts';
import { pollUntil } from '../support/poll-until.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database, url } = useTestDatabase();
const master = Buffer.alloc(32, 1).toString('base64');
const keys = deriveContentKeys(master, 'content');
const lab = { org: 'acme', project: 'lab' };
const other = { org: 'other', project: 'lab' };
const store = () => createContentStore(database(), keys);

beforeEach(async () => {
  await database().execute(sql`truncate contents, org_keys`);
});

/** As a release did that knew no keys of orgs. */
const putOld = async (text: string): Promise<string> => {
  const plain = Buffer.from(text);
  const digest = keyedDigest(keys, plain);
  const sealed = seal(keys, plain, `${lab.org}/${lab.project}/${digest}`);
  await database().execute(
    sql`insert into contents (org, project, digest, sealed, size_bytes, label) values ('acme', 'lab', ${digest}, ${sealed}, ${plain.length}, 'old')`,
  );
  return digest;
};
const rotate = (org = 'acme') => database().transaction((within) => createOrgKeys(database(), keys).rotate(org, within));
const resealAll = async (now?: () => number): Promise<void> => {
  const reseal = createContentResealer({ database: database(), keys, ring: createOrgKeys(database(), keys), ...(now ? { now } : {}) });
  while ((await reseal()).resealed > 0);
};
const states = async (org = 'acme') => (await listOrgKeys(database(), org)).map(({ state, contents }) => [state, contents]);

test('each org has a key of its own, made once however many begin at the same time, and wrapped in the database', async () => {
  const digests = await Promise.all(Array.from({ length: 20 }, (_, index) => store().put(lab, `text ${index}`, 't')));
  await store().put(other, 'theirs', 't');
  expect(await states()).toEqual([['active', 20]]);
  expect(await states('other')).toEqual([['active', 1]]);
  expect(await store().get(lab, digests[7] ?? '')).toBe('text 7');
  const { rows } = await database().$client.query('select distinct key_id from contents');
  expect(rows).toHaveLength(2);
});

test('a document that was put in the place of another one, of another project, or under another key does not open', async () => {
  const [first, second] = [await store().put(lab, 'first', 't'), await store().put(lab, 'second', 't')];
  await rotate();
  const third = await store().put(lab, 'third', 't');
  const fails = (digest: string) => expect(store().get(lab, digest)).rejects.toMatchObject({ code: 'secret_unavailable' });
  await database().execute(
    sql`update contents set sealed = (select sealed from contents where digest = ${second}) where digest = ${first}`,
  );
  await fails(first);
  await database().execute(sql`update contents set project = 'lab2' where digest = ${second}`);
  await expect(store().get({ org: 'acme', project: 'lab2' }, second)).rejects.toMatchObject({ code: 'secret_unavailable' });
  await database().execute(sql`update contents set key_id = (select id from org_keys where state = 'retired') where digest = ${third}`);
  await fails(third);
  await database().execute(sql`update org_keys set wrapped = (select wrapped from org_keys where state = 'active')`);
  await fails(third);
});

describe('rotation', () => {
  test('leaves everything readable, before and after it is sealed anew, old rows of an earlier release too', async () => {
    const old = await putOld('from before');
    const before = await store().put(lab, 'before', 't');
    await rotate();
    const after = await store().put(lab, 'after', 't');
    const read = () => Promise.all([old, before, after].map((digest) => store().get(lab, digest)));
    expect(await read()).toEqual(['from before', 'before', 'after']);
    expect(await states()).toEqual([
      ['active', 1],
      ['retired', 1],
    ]);
    await resealAll();
    expect(await read()).toEqual(['from before', 'before', 'after']);
    expect(await states()).toEqual([
      ['active', 3],
      ['retired', 0],
    ]);
    await resealAll(() => Date.now() + 700_000);
    expect(await states()).toEqual([
      ['active', 3],
      ['destroyed', 0],
    ]);
    expect(await read()).toEqual(['from before', 'before', 'after']);
  });

  test('does not destroy a key that somebody may still be sealing with', async () => {
    await store().put(lab, 'x', 't');
    await rotate();
    await resealAll();
    const { rows } = await database().$client.query(
      "select count(*)::int as n from org_keys where state = 'retired' and wrapped is not null",
    );
    expect(rows[0].n).toBe(1);
  });

  test('that is killed in the middle, again and again, loses nothing and comes to its end', async () => {
    const digests = await Promise.all(Array.from({ length: 300 }, (_, index) => store().put(lab, `text ${index}`, 't')));
    await rotate();
    const file = (path: string): string => JSON.stringify(join(import.meta.dirname, '../..', path));
    const script = `
      const { openDatabase } = await import(${file('store/database.ts')});
      const { createContentStore } = await import(${file('store/contents.ts')});
      const { deriveContentKeys } = await import(${file('store/secrets/seal.ts')});
      const reseal = createContentStore(openDatabase({ url: process.env.URL, name: 'resealer' }), deriveContentKeys(${JSON.stringify(master)}, 'content')).resealer();
      for (;;) await reseal();`;
    const done = async (): Promise<number> => (await states())[0]?.[1] as number;
    let before = 0;
    let kills = 0;
    while (before < digests.length && kills < 3) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: { URL: url() }, stdio: 'ignore' });
      const reached = before;
      before = await pollUntil(async () => ((await done()) > reached ? await done() : undefined), 'some rows to be sealed anew', 30_000);
      child.kill('SIGKILL');
      await once(child, 'exit');
      kills += 1;
      const sample = [...digests.slice(0, 40), ...digests.slice(-40)];
      for (const digest of sample) expect(await store().get(lab, digest)).toMatch(/^text \d+$/);
    }
    expect(kills).toBeGreaterThan(0);
    await Promise.all([resealAll(), resealAll()]);
    expect(await states()).toEqual([
      ['active', 300],
      ['retired', 0],
    ]);
    for (const [index, digest] of digests.entries()) expect(await store().get(lab, digest)).toBe(`text ${index}`);
  }, 180_000);

  test('passes over a row that does not open, and leaves it as it is', async () => {
    const [good, bad] = [await store().put(lab, 'good', 't'), await store().put(lab, 'bad', 't')];
    await database().execute(sql`update contents set sealed = ${Buffer.alloc(60, 1)} where digest = ${bad}`);
    await rotate();
    const reseal = createContentResealer({ database: database(), keys, ring: createOrgKeys(database(), keys) });
    expect(await reseal()).toEqual({ resealed: 1, failed: 1 });
    expect(await store().get(lab, good)).toBe('good');
  });
});

describe('destroying the keys of an org', () => {
  const shred = () => database().transaction((within) => shredOrgKeys(within, 'acme', new Date()));

  test('makes all of it unreadable with every key that there is, and nothing of others', async () => {
    const old = await putOld('from before');
    const mine = await store().put(lab, 'mine', 't');
    const theirs = await store().put(other, 'theirs', 't');
    await rotate();
    expect(await shred()).toHaveLength(2);
    await expect(store().get(lab, mine)).rejects.toMatchObject({
      code: 'secret_unavailable',
      message: expect.stringContaining('destroyed'),
    });
    await expect(store().get(lab, old)).rejects.toMatchObject({ code: 'content_missing' });
    expect(await store().get(other, theirs)).toBe('theirs');
    const { rows } = await database().$client.query("select count(*)::int as n from org_keys where org = 'acme' and wrapped is not null");
    expect(rows[0].n).toBe(0);
    await resealAll();
    await expect(store().get(lab, mine)).rejects.toMatchObject({ code: 'content_missing' });
  });

  test('keeps nothing new until somebody makes another key', async () => {
    await store().put(lab, 'mine', 't');
    await shred();
    await expect(store().put(lab, 'more', 't')).rejects.toMatchObject({ code: 'secret_unavailable' });
    await rotate();
    expect(await store().get(lab, await store().put(lab, 'more', 't'))).toBe('more');
  });

  test('is seen within seconds by a process that knew them', async () => {
    const clock = { ms: Date.now() + 3_600_000 };
    const ring = createOrgKeys(database(), keys, () => clock.ms);
    const digest = await store().put(lab, 'mine', 't');
    const { id } = await ring.active('acme', database());
    await ring.byId('acme', id);
    await shred();
    clock.ms += 5_000;
    await expect(ring.byId('acme', id)).rejects.toMatchObject({ code: 'secret_unavailable' });
    await expect(ring.active('acme', database())).rejects.toMatchObject({ code: 'secret_unavailable' });
    expect(digest).toMatch(/^hmac/);
  });
});

test('a key that was made in a transaction that was undone seals nothing later', async () => {
  const contents = store();
  await expect(
    database().transaction(async (within) => {
      await contents.put(lab, 'undone', 't', within);
      await contents.put(lab, 'undone too', 't', within);
      throw new Error('undo');
    }),
  ).rejects.toThrow('undo');
  const digest = await contents.put(lab, 'kept', 't');
  expect(await store().get(lab, digest)).toBe('kept');
  expect(await states()).toEqual([['active', 1]]);
});
