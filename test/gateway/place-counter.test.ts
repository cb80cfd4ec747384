import pino from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { createPlaceCounter, type PlaceCounter } from '../../gateway/limits/place-counter.ts';
import type { CompiledRate } from '../../gateway/limits/rate-table.ts';
import { createRatePlaces, forgetLostPlaces, type RatePlaces } from '../../store/rate-places.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();

const rate = (atOnce: number, more: Partial<CompiledRate> = {}) => ({
  ...{ key: 'x', of: 'McpServer/x', each: 'all' as const, tools: undefined, calls: undefined, windowSeconds: 60, isConservative: false },
  ...more,
  atOnce,
});

let counters: PlaceCounter[] = [];
afterEach(async () => {
  await Promise.all(counters.map((counter) => counter.close()));
  counters = [];
});

/** A gateway on the real table, whose questions for more are counted, and whose way to the database can be cut. */
const startOne = (gateway: string, now?: () => number) => {
  const real = createRatePlaces(database(), pino({ level: 'silent' }));
  const state = { questions: 0, isAway: false };
  const cuttable =
    <Asked extends unknown[], Answer>(ask: (...asked: Asked) => Promise<Answer>) =>
    async (...asked: Asked): Promise<Answer> => {
      if (state.isAway) throw new Error('away');
      return ask(...asked);
    };
  const take: RatePlaces['take'] = (asked) => {
    state.questions += 1;
    return cuttable(real.take)(asked);
  };
  const places: RatePlaces = { ...real, take, renew: cuttable(real.renew), keep: cuttable(real.keep) };
  const counter = createPlaceCounter({ places, gateway, ...(now ? { now } : {}) });
  counters.push(counter);
  return { counter, state };
};
const enter = async (counter: PlaceCounter, of: ReturnType<typeof rate>, key: string): Promise<string> => {
  try {
    await counter.enter(of, key);
    return 'in';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('several gateways', () => {
  test('never let more in together than the limit, whoever asks when', async () => {
    const gateways = ['a1', 'a2', 'a3', 'a4'].map((name) => startOne(name).counter);
    const limit = rate(17);
    let underWay = 0;
    let most = 0;
    let through = 0;
    const work = async (counter: PlaceCounter): Promise<void> => {
      for (let time = 0; time < 25; time += 1) {
        if ((await enter(counter, limit, 'shared')) !== 'in') continue;
        underWay += 1;
        through += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setTimeout(resolve, 2));
        underWay -= 1;
        counter.leave('shared');
      }
    };
    await Promise.all(gateways.flatMap((counter) => Array.from({ length: 10 }, () => work(counter))));
    expect(most).toBeLessThanOrEqual(17);
    expect(most).toBeGreaterThan(8);
    expect(through).toBeGreaterThan(100);
    const { rows } = await database().$client.query(`select sum(places)::int as held from rate_places where key = 'shared'`);
    expect(rows[0].held).toBeLessThanOrEqual(17);
  });

  test('give up what they do not use as soon as another one wants it', async () => {
    const [one, other] = [startOne('b1').counter, startOne('b2').counter];
    const limit = rate(1);
    for (let time = 0; time < 3; time += 1)
      for (const counter of [one, other]) {
        expect(await enter(counter, limit, 'moving')).toBe('in');
        counter.leave('moving');
      }
  });

  test('that are always busy give one up with the next call that ends', async () => {
    const [one, other] = [startOne('c1').counter, startOne('c2').counter];
    const limit = rate(2);
    expect([await enter(one, limit, 'busy'), await enter(one, limit, 'busy')]).toEqual(['in', 'in']);
    expect(await enter(other, limit, 'busy')).toBe('calls_exhausted');
    one.leave('busy');
    await expect.poll(() => enter(other, limit, 'busy'), { timeout: 5_000 }).toBe('in');
    expect(await enter(one, limit, 'busy')).toBe('calls_exhausted');
  });
});

describe('one gateway', () => {
  test('asks the database for a tenth at a time, and for calls one after another not at all', async () => {
    const { counter, state } = startOne('d1');
    const limit = rate(100);
    for (let time = 0; time < 500; time += 1) {
      expect(await enter(counter, limit, 'cheap')).toBe('in');
      counter.leave('cheap');
    }
    expect(state.questions).toBe(1);
    for (let time = 0; time < 100; time += 1) expect(await enter(counter, limit, 'cheap')).toBe('in');
    expect(state.questions).toBe(10);
    expect(await enter(counter, limit, 'cheap')).toBe('calls_exhausted');
  });

  test('keeps its lease while it lives, counts what runs though the lease was lost, and gives back what it does not use', async () => {
    const clock = { ms: 0 };
    const { counter } = startOne('e1', () => clock.ms);
    const limit = rate(2);
    await enter(counter, limit, 'kept');
    await enter(counter, limit, 'kept');
    clock.ms += 1_000;
    await counter.renew();
    await database().$client.query(`update rate_places set expires_at = now() - interval '1 second' where key = 'kept'`);
    clock.ms += 1_000;
    await counter.renew();
    expect(await enter(counter, limit, 'kept')).toBe('calls_exhausted');
    const { rows } = await database().$client.query(`select places from rate_places where key = 'kept' and expires_at > now()`);
    expect(rows).toEqual([{ places: 2 }]);
    counter.leave('kept');
    counter.leave('kept');
    clock.ms += 1_000;
    await counter.renew();
    expect(await enter(counter, limit, 'kept')).toBe('in');
    counter.leave('kept');
    for (let seconds = 0; seconds < 61; seconds += 5) {
      clock.ms += 5_000;
      await counter.renew();
    }
    await expect
      .poll(async () => (await database().$client.query(`select 1 from rate_places where key = 'kept'`)).rowCount, { timeout: 5_000 })
      .toBe(0);
  });

  test('lets in what its lease allows while the database is away, then refuses, or a tenth by itself where that is declared', async () => {
    const clock = { ms: 0 };
    const { counter, state } = startOne('f1', () => clock.ms);
    const [closed, conservative] = [rate(40), rate(40, { isConservative: true })];
    for (const [key, of] of [
      ['closed', closed],
      ['conservative', conservative],
    ] as const) {
      expect(await enter(counter, of, key)).toBe('in');
      counter.leave(key);
    }
    state.isAway = true;
    expect(await enter(counter, closed, 'closed')).toBe('in');
    counter.leave('closed');
    clock.ms += 6_000;
    expect(await enter(counter, closed, 'closed')).toBe('store_unavailable');
    expect(await enter(counter, closed, 'closed')).toBe('store_unavailable');
    const found = [];
    for (let time = 0; time < 6; time += 1) found.push(await enter(counter, conservative, 'conservative'));
    expect(found).toEqual(['in', 'in', 'in', 'in', 'calls_exhausted', 'calls_exhausted']);
    state.isAway = false;
    clock.ms += 1_001;
    expect(await enter(counter, closed, 'closed')).toBe('in');
    expect(await enter(counter, conservative, 'conservative')).toBe('in');
  });
});

test('what dead gateways held is forgotten', async () => {
  await database().$client.query(
    `insert into rate_places (key, gateway, places, expires_at) values ('g', 'dead', 3, now() - interval '1 hour')`,
  );
  expect(await forgetLostPlaces(database())).toBeGreaterThanOrEqual(1);
});
