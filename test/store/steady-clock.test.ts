import pino from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { forgetTarget, holdsFence, takeTarget } from '../../store/reconcile-targets.ts';
import { createSteadyClock, type SteadyClock } from '../../store/steady-clock.ts';
import { startTestDatabase } from '../support/postgres.ts';
import { shiftDatabaseClock } from '../support/shift-database-clock.ts';

let ofTest: Awaited<ReturnType<typeof startTestDatabase>>;
let database: Database;
let stored: Awaited<ReturnType<typeof shiftDatabaseClock>>;
let steady: SteadyClock;
let offsetMs = 0;
let said: string[];
beforeAll(async () => {
  ofTest = await startTestDatabase();
  stored = await shiftDatabaseClock(ofTest.url);
  database = openDatabase({ url: ofTest.url, name: 'steady' });
});
afterAll(async () => {
  await closeDatabase(database);
  await ofTest.close();
});
const begin = async (): Promise<void> => {
  const logger = pino({ level: 'warn' }, { write: (line: string) => void said.push(line) });
  steady = createSteadyClock({ database, logger, wall: () => Date.now() + offsetMs, intervalMs: 3_600_000 });
  await steady.ask();
};
beforeEach(async () => {
  await steady?.close();
  said = [];
  offsetMs = 0;
  await stored.jump(0);
});

const hourMs = 3_600_000;
const offBy = (): number => Math.round((steady.now().getTime() - Date.now()) / 1000);

test.each([1, -1])('a clock of this machine that jumps by %i h moves nothing, and is reported once', async (hours) => {
  await begin();
  expect(Math.abs(offBy())).toBeLessThanOrEqual(1);
  offsetMs = hours * hourMs;
  expect(Math.abs(offBy()), 'at once').toBeLessThanOrEqual(1);
  await steady.ask();
  await steady.ask();
  expect(Math.abs(offBy()), 'and after the database was asked').toBeLessThanOrEqual(1);
  expect(said.filter((line) => line.includes('apart'))).toHaveLength(1);
});

test('a clock of the database that jumps by an hour and back moves nothing', async () => {
  await begin();
  for (const hours of [1, -1]) {
    await stored.jump(hours * 3600);
    await steady.ask();
    await steady.ask();
    expect(Math.abs(offBy())).toBeLessThanOrEqual(1);
  }
  await stored.jump(0);
  await steady.ask();
  expect(Math.abs(offBy())).toBeLessThanOrEqual(1);
});

test('where both moved on, as after a machine that slept, the time is theirs', async () => {
  await begin();
  offsetMs = hourMs;
  await stored.jump(3600);
  await steady.ask();
  expect(offBy()).toBeGreaterThanOrEqual(3599);
});

test('begun while one is an hour ahead it takes the earlier, which ends nothing too early', async () => {
  offsetMs = hourMs;
  await begin();
  expect(Math.abs(offBy())).toBeLessThanOrEqual(1);
  await steady.close();
  offsetMs = 0;
  await stored.jump(3600);
  await begin();
  expect(Math.abs(offBy())).toBeLessThanOrEqual(1);
});

test('whoever held a target that was forgotten and declared anew holds it no more', async () => {
  const key = { ...defaultTenancy, target: 'again' };
  const first = await takeTarget(database, key, { generation: 1 });
  await forgetTarget(database, key);
  const second = await takeTarget(database, key, { generation: 1 });
  expect(second.fence).toBeGreaterThan(first.fence);
  expect([await holdsFence(database, key, first.fence), await holdsFence(database, key, second.fence)]).toEqual([false, true]);
});
