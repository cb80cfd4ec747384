import { describe, expect, test } from 'vitest';
import { createWorkerKeys, type WorkerKeys } from '../../store/worker-keys.ts';
import { createMemoryWorkerKeys } from '../support/memory-worker-keys.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const kinds: [string, () => WorkerKeys][] = [
  ['the database', () => createWorkerKeys(database())],
  ['memory', createMemoryWorkerKeys],
];

describe.each(kinds)('workers’ keys in %s', (_name, make) => {
  test('are found as they were put, and not under another name', async () => {
    const keys = make();
    await keys.put('thumb', { jwk: { kty: 'EC', x: 'x' }, tier: 'apply' }, 60);
    expect(await keys.find('thumb')).toEqual({ jwk: { kty: 'EC', x: 'x' }, tier: 'apply' });
    expect(await keys.find('other')).toBeUndefined();
  });

  test('let an id be used by one of many who show it at once', async () => {
    const keys = make();
    const used = await Promise.all(Array.from({ length: 20 }, () => keys.useOnce('WorkerJoin', 'id-1', 60)));
    expect(used.filter(Boolean)).toHaveLength(1);
    expect(await keys.useOnce('WorkerProof', 'id-1', 60)).toBe(true);
    expect(await keys.useOnce('WorkerJoin', 'id-2', 60)).toBe(true);
  });
});

test('a key is known as long as it was put for, and its name alone is in no row', async () => {
  const keys = createWorkerKeys(database());
  await keys.put('brief', { jwk: {}, tier: 'default' }, -1);
  expect(await keys.find('brief')).toBeUndefined();
  const { rows } = await database().$client.query("select id from issuer_records where model like 'Worker%'");
  expect(JSON.stringify(rows)).not.toContain('brief');
});
