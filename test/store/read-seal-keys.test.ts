import { sql } from 'drizzle-orm';
import { beforeEach, expect, test } from 'vitest';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { readSealKeys } from '../../store/read-seal-keys.ts';
import { askForSealKey } from '../../store/seal-keys.ts';
import { openSealRing } from '../../store/seal-ring.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { pollUntil } from '../support/poll-until.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database, url } = useTestDatabase();
const logger = createLogger({ name: 'test', level: 'silent' });
const master = Buffer.alloc(32, 5).toString('base64');

beforeEach(async () => {
  await database().execute(sql`truncate seal_keys`);
});

test('those who ask at the same moment share one answer, and whoever wants a newer one gets it', async () => {
  const first = readSealKeys(database(), 0);
  expect(readSealKeys(database(), 10_000)).toBe(first);
  expect(await first).toEqual([]);
  await askForSealKey(database(), 'people');
  expect(await readSealKeys(database(), 10_000)).toEqual([]);
  expect((await readSealKeys(database(), 0)).map(({ name, wrapped }) => ({ name, wrapped }))).toEqual([{ name: 'people', wrapped: null }]);
});

test('the rings of a process read together, and each makes and takes the keys of its own name', async () => {
  const counted = openDatabase({ url: url(), name: 'rings', max: 2 });
  let questions = 0;
  const query = counted.$client.query.bind(counted.$client) as (...given: unknown[]) => unknown;
  counted.$client.query = ((...given: unknown[]) => {
    if (JSON.stringify(given[0]).includes('from \\"seal_keys\\"')) questions += 1;
    return query(...given);
  }) as typeof counted.$client.query;
  const pollMs = 40;
  const names = ['gateway', 'people', 'approvals'] as const;
  const rings = await Promise.all(names.map((name) => openSealRing({ database: counted, name, master, logger, pollMs, sealsAfterMs: 0 })));
  const id = await askForSealKey(database(), 'people');
  await pollUntil(async () => rings[1]?.currentId() === id || undefined, 'the new key seals');
  expect([rings[0]?.currentId(), rings[2]?.currentId()]).toEqual([undefined, undefined]);
  questions = 0;
  await new Promise((resolve) => setTimeout(resolve, pollMs * 10));
  // three rings that asked each for themselves would have asked thirty times
  expect(questions).toBeGreaterThan(0);
  expect(questions).toBeLessThan(20);
  await Promise.all(rings.map((ring) => ring.close()));
  await closeDatabase(counted);
});
