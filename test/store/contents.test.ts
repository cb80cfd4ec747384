import { expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { createContentStore } from '../../store/contents.ts';
import { deriveContentKeys, keyedDigest, seal, unseal } from '../../store/secrets/seal.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const masterKey = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const keys = deriveContentKeys(masterKey(1), 'content');
const store = () => createContentStore(database(), keys);

test('keeps a text under its digest, once, and not readable in the database', async () => {
  const digest = await store().put(defaultTenancy, 'the secret of the sea', 'transcript');
  expect(await store().put(defaultTenancy, 'the secret of the sea', 'again')).toBe(digest);
  expect(await store().get(defaultTenancy, digest)).toBe('the secret of the sea');
  const { rows } = await database().$client.query('select sealed, digest from contents');
  expect(rows).toHaveLength(1);
  expect(rows[0].sealed.toString('latin1')).not.toContain('secret');
});

test('finds a document in its own project alone', async () => {
  const digest = await store().putJson(defaultTenancy, { a: 1 }, 'inputs');
  expect(await store().getJson(defaultTenancy, digest)).toEqual({ a: 1 });
  await expect(store().get({ org: 'default', project: 'other' }, digest)).rejects.toMatchObject({ code: 'content_missing' });
});

test('does not open a document that was moved to another project, or with another key', async () => {
  const digest = await store().put(defaultTenancy, 'mine', 'text');
  await database().$client.query('insert into contents select org, $1, digest, sealed, size_bytes, label from contents where digest = $2', [
    'theirs',
    digest,
  ]);
  await expect(store().get({ org: 'default', project: 'theirs' }, digest)).rejects.toMatchObject({ code: 'secret_unavailable' });
  const foreign = createContentStore(database(), deriveContentKeys(masterKey(2), 'content'));
  await expect(foreign.get(defaultTenancy, digest)).rejects.toMatchObject({ code: 'secret_unavailable' });
});

test('gives each purpose and each master key keys of its own, and refuses a short one', () => {
  const digests = [keys, deriveContentKeys(masterKey(1), 'operations'), deriveContentKeys(masterKey(2), 'content')].map((each) =>
    keyedDigest(each, Buffer.from('x')),
  );
  expect(new Set(digests).size).toBe(3);
  expect(() => deriveContentKeys('c2hvcnQ=', 'content')).toThrow(/not 32 bytes/);
});

test('notices each altered byte', () => {
  const sealed = seal(keys, Buffer.from('text'), 'place');
  for (let index = 0; index < sealed.length; index += 1) {
    const altered = Buffer.from(sealed);
    altered[index] = (altered[index] ?? 0) ^ 1;
    expect(() => unseal(keys, altered, 'place')).toThrow(/does not open/);
  }
  expect(unseal(keys, sealed, 'place').toString()).toBe('text');
});
