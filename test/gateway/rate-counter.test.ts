import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRateCounter } from '../../gateway/limits/rate-counter.ts';
import type { CompiledRate } from '../../gateway/limits/rate-table.ts';
import { isPlatformError } from '../../schema/errors.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { createRateWindows, forgetOldWindows, type TakeRate } from '../../store/rate-windows.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { url } = useTestDatabase();
let database: Database;
beforeAll(() => {
  database = openDatabase({ url: url(), max: 8, name: 'test-rates' });
});
afterAll(() => closeDatabase(database));

/** A window that does not end during a test. */
const day = 86_400;
const rate = (changes: Partial<CompiledRate> = {}): CompiledRate => ({
  key: `test/${crypto.randomUUID()}`,
  of: 'McpServer/echo',
  each: 'all',
  tools: undefined,
  calls: 10,
  windowSeconds: day,
  atOnce: undefined,
  isConservative: false,
  ...changes,
});
type Spend = ReturnType<typeof createRateCounter>;
const outcomeOf = async (spend: Spend, of: CompiledRate, subject = ''): Promise<string> => {
  try {
    await spend(of, subject);
    return 'ok';
  } catch (error) {
    return isPlatformError(error) ? error.code : String(error);
  }
};
const outcomes = async (spend: Spend, of: CompiledRate, times: number): Promise<Record<string, number>> => {
  const found: Record<string, number> = {};
  for (const each of await Promise.all(Array.from({ length: times }, () => outcomeOf(spend, of)))) found[each] = (found[each] ?? 0) + 1;
  return found;
};

describe('rates that gateways share', () => {
  test.each([1, 7, 10, 100, 1001])('give out no more than %i calls in a window, all gateways together', async (calls) => {
    const limited = rate({ calls });
    const spends = Array.from({ length: 4 }, () => createRateCounter({ take: createRateWindows(database) }));
    const found = await Promise.all(spends.map((spend) => outcomes(spend, limited, calls)));
    expect(found.reduce((sum, { ok = 0 }) => sum + ok, 0)).toBe(calls);
    expect(found.flatMap((each) => Object.keys(each)).filter((code) => code !== 'ok' && code !== 'rate_exhausted')).toEqual([]);
  });

  test('ask the database a dozen times for a thousand calls, and not again when a window is spent', async () => {
    let asked = 0;
    const take = createRateWindows(database);
    const spend = createRateCounter({
      take: (what) => {
        asked += 1;
        return take(what);
      },
    });
    const limited = rate({ calls: 1000 });
    expect(await outcomes(spend, limited, 3000)).toEqual({ ok: 1000, rate_exhausted: 2000 });
    expect(asked).toBeLessThanOrEqual(12);
    const before = asked;
    for (let time = 0; time < 50; time += 1) expect(await outcomeOf(spend, limited)).toBe('rate_exhausted');
    expect(asked).toBe(before);
  });

  test('begin anew with the next window, and say until then how long', async () => {
    const spend = createRateCounter({ take: createRateWindows(database) });
    const limited = rate({ calls: 2, windowSeconds: 1 });
    const refusal = await (async () => {
      for (;;)
        try {
          await spend(limited, '');
        } catch (error) {
          return error;
        }
    })();
    expect(refusal).toMatchObject({ code: 'rate_exhausted', facts: { limit: 'McpServer/echo', retryAfterSeconds: 1 } });
    await expect.poll(() => outcomeOf(spend, limited), { timeout: 5_000 }).toBe('ok');
  });

  test('are counted for each subject alone, and old ones are forgotten', async () => {
    const spend = createRateCounter({ take: createRateWindows(database) });
    const limited = rate({ calls: 1, each: 'person' });
    expect(await outcomeOf(spend, limited, 'default/ada')).toBe('ok');
    expect(await outcomeOf(spend, limited, 'default/ada')).toBe('rate_exhausted');
    expect(await outcomeOf(spend, limited, 'default/bea')).toBe('ok');
    await database.$client.query(`update rate_windows set started_at = now() - interval '3 days' where key like $1`, [`${limited.key}%`]);
    expect(await forgetOldWindows(database)).toBe(2);
  });
});

describe('while the database is away', () => {
  const away: TakeRate = async () => {
    throw new Error('away');
  };
  const limited = { calls: 100 };

  test('a closed rate refuses with a hint, and a conservative one lets a tenth through', async () => {
    const spend = createRateCounter({ take: away });
    expect(await outcomes(spend, rate(limited), 5)).toEqual({ store_unavailable: 5 });
    expect(await outcomes(spend, rate({ ...limited, isConservative: true }), 50)).toEqual({ ok: 10, rate_exhausted: 40 });
  });

  test('one that does not answer at all is away', async () => {
    const spend = createRateCounter({ take: () => new Promise(() => undefined) });
    expect(await outcomeOf(spend, rate(limited))).toBe('store_unavailable');
  });

  test('what it gave before it went is spent, and when it is back it counts again', async () => {
    let isAway = false;
    let at = 0;
    const take = createRateWindows(database);
    const spend = createRateCounter({ take: (what) => (isAway ? away(what) : take(what)), now: () => at });
    const conservative = rate({ ...limited, isConservative: true });
    expect(await outcomeOf(spend, conservative)).toBe('ok');
    isAway = true;
    expect(await outcomes(spend, conservative, 50)).toEqual({ ok: 9, rate_exhausted: 41 });
    isAway = false;
    expect(await outcomeOf(spend, conservative)).toBe('rate_exhausted');
    at += 1_001;
    expect(await outcomes(spend, conservative, 200)).toEqual({ ok: 90, rate_exhausted: 110 });
  });
});
