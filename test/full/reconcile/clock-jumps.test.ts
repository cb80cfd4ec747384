import pino from 'pino';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../../schema/ids.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { getApproval, listApprovals } from '../../../store/approvals.ts';
import { closeDatabase, type Database, openDatabase } from '../../../store/database.ts';
import { placeHold } from '../../../store/reconcile-holds.ts';
import { createSteadyClock } from '../../../store/steady-clock.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { startTestDatabase } from '../../support/postgres.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace, startReconcilePlace } from '../../support/reconcile-place.ts';
import { shiftDatabaseClock } from '../../support/shift-database-clock.ts';

let ofTest: Awaited<ReturnType<typeof startTestDatabase>>;
let database: Database;
let clock: Awaited<ReturnType<typeof shiftDatabaseClock>>;
let place: ReconcilePlace;
beforeAll(async () => {
  ofTest = await startTestDatabase();
  clock = await shiftDatabaseClock(ofTest.url);
  database = openDatabase({ url: ofTest.url, max: 20, name: 'clock-test' });
  place = await startReconcilePlace({ database, worldPerTarget: true });
});
afterAll(async () => {
  await place?.stop();
  await place?.close();
  await closeDatabase(database);
  await ofTest?.close();
});
afterEach(async () => {
  place.time.offsetMs = 0;
  await clock.jump(0);
});

const hourMs = 3_600_000;
/** Whose clock jumps, and whereto. */
const jumps = [
  ['the worker', 1],
  ['the worker', -1],
  ['the database', 1],
  ['the database', -1],
] as const;
const jump = async (whose: (typeof jumps)[number][0], hours: number): Promise<void> => {
  if (whose === 'the worker') place.time.offsetMs = hours * hourMs;
  else await clock.jump(hours * 3600);
};
const holdMs = 6_000;
/** What stood, by what was under way and which clock jumped. */
const proven = new Set<string>();

/** A target whose `web` hangs while there are two of it, and for as long as `isIll` says; people are asked whether a rule may mend it. */
const declare = async (isIll: () => boolean = () => false): Promise<string> => {
  const target = place.newName();
  const web = `${target}-web`;
  place
    .worldOf(target)
    .judgeBy(({ name }, { spec }) =>
      name === web && (spec.replicas !== 1 || isIll())
        ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: '', count: 1 }] }
        : { health: 'healthy', symptoms: [] },
    );
  await place.declare(target, {
    manifests: [web, `${target}-a`, `${target}-b`].map((name) => deploymentManifest(name)),
    ...{ critical: true, limits: { cooldownSeconds: 0 }, approval: { expiresInSeconds: 1800 } },
    verification: { timeoutSeconds: 60, holdSeconds: holdMs / 1000 },
  });
  const operations: Operation[] = [{ op: 'scale', object: deploymentRef(web), replicas: 1 }];
  await place.declareRule(target, { match: 'drift.kind == "unhealthy"', operations });
  return target;
};
const until = (target: string, ...states: string[]) =>
  pollUntil(async () => (await place.fixesOf(target)).find(({ state }) => states.includes(state)), `${target}: ${states}`, 90_000);
const approvalsOf = async (target: string) =>
  (await listApprovals(database, defaultTenancy, { state: 'all', limit: 100 })).filter(({ subject }) => subject.startsWith(`${target}:`));
/** A wait that is real: what is measured here is that something does not happen in it. */
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test.each(jumps)(
  'while people are asked the clock of %s jumps by %i h: it is applied once when they answer in time, and never when not',
  async (whose, hours) => {
    const target = await declare();
    await place.start(target);
    const approval = await place.waiting(target);
    await jump(whose, hours);
    const looks = place.worldOf(target).reads.observe;
    await place.start(target);
    await wait(4_000);
    expect(place.worldOf(target).reads.observe - looks, 'it is not looked at again and again').toBeLessThanOrEqual(4);
    const isOver = whose === 'the database' && hours > 0;
    if (isOver) {
      await expect(place.answer(target, approval)).rejects.toMatchObject({ code: 'approval_expired' });
      await place.start(target);
      await until(target, 'expired');
      expect(place.worldOf(target).effects).toEqual([]);
      proven.add(`approval ${whose} ${hours}`);
      return;
    }
    expect((await getApproval(database, { ...defaultTenancy, id: approval.id })).state).toBe('pending');
    await place.answer(target, approval);
    const fix = await until(target, 'fixed');
    expect(place.worldOf(target).effects).toEqual([`${fix.id}/do/0`]);
    expect((await approvalsOf(target)).map(({ state }) => state)).toEqual(['consumed']);
    proven.add(`approval ${whose} ${hours}`);
  },
);

test.each(jumps)(
  'while an effect is held the clock of %s jumps by %i h: the hold is as long as it was declared, and the timeout too',
  async (whose, hours) => {
    const target = await declare();
    let effectAt = 0;
    place.worldOf(target).faults.apply = (moment) => {
      if (moment === 'after') effectAt = performance.now();
    };
    await place.start(target);
    await place.answer(target, await place.waiting(target));
    await place.phase(target, 'verifying');
    await jump(whose, hours);
    const fix = await until(target, 'fixed', 'ineffective', 'rolled-back');
    expect(fix.state).toBe('fixed');
    expect(performance.now() - effectAt, 'not cut short').toBeGreaterThanOrEqual(holdMs);
    expect(place.worldOf(target).effects).toEqual([`${fix.id}/do/0`]);
    proven.add(`hold ${whose} ${hours}`);
  },
);

test('what breaks again within the hold is seen though a clock says that the hold is over', async () => {
  let isIll = false;
  const target = await declare(() => isIll);
  await place.start(target);
  await place.answer(target, await place.waiting(target));
  await place.phase(target, 'verifying');
  await jump('the worker', 1);
  await wait(1_500);
  isIll = true;
  await wait(500);
  expect((await place.fixesOf(target)).map(({ state }) => state)).toEqual(['verifying']);
  place.time.offsetMs = 0;
  isIll = false;
  expect((await until(target, 'fixed')).state).toBe('fixed');
});

test('what people hold stays theirs while one clock says that their time is over, until two do', async () => {
  const wall = (): number => Date.now() + place.time.offsetMs;
  const steady = createSteadyClock({ database, logger: pino({ level: 'silent' }), wall, intervalMs: hourMs });
  await steady.ask();
  await place.restart({ clock: steady.now });
  const target = await declare();
  const hold = { id: `hold_${target}`, object: '', path: '', reason: 'incident', heldBy: 'rita', decisionId: 'dec' };
  await placeHold(database, { ...defaultTenancy, target, ...hold, untilAt: new Date(Date.now() + hourMs / 2) });
  for (const whose of ['the worker', 'the database'] as const) {
    await jump(whose, 1);
    await steady.ask();
    await place.start(target);
    await place.ended(target);
    expect(await place.fixesOf(target), whose).toEqual([]);
    await jump(whose, 0);
    await steady.ask();
  }
  for (const [whose] of jumps) await jump(whose, 1);
  await steady.ask();
  await place.start(target);
  await pollUntil(async () => (await place.fixesOf(target)).length === 1, 'people to be asked', 60_000);
  expect(place.worldOf(target).effects).toEqual([]);
  await steady.close();
  await place.restart();
  proven.add('what people hold');
});

test('a clock of a worker or of the database that jumps an hour while people are asked or an effect is held ends nothing early and does nothing twice', () => {
  const expected = jumps.flatMap(([whose, hours]) => [`approval ${whose} ${hours}`, `hold ${whose} ${hours}`]);
  expect([...proven].sort()).toEqual([...expected, 'what people hold'].sort());
});
