import { setTimeout as delay } from 'node:timers/promises';
import { PlatformError } from '../../schema/errors.ts';
import type { RateGrant, TakeRate } from '../../store/rate-windows.ts';
import type { CompiledRate } from './rate-table.ts';

/** A gateway takes so much of a window at a time: several gateways share it, and few calls wait for the database. */
const slicesOfWindow = 10;
/** With so little left the next slice is taken in the background. */
const nearlyEmpty = 0.25;
/** A database that does not answer by then counts as one that cannot be reached. */
const longestTakeMs = 1_000;
const mostCounters = 50_000;

/** What this gateway may still spend of one counter. */
type Purse = { left: number; until: number; isSpent: boolean; taking: Promise<void> | undefined; askAgainAt: number };

const sliceOf = (calls: number): number => Math.max(1, Math.ceil(calls / slicesOfWindow));

const whose: Readonly<Record<CompiledRate['each'], string>> = {
  all: 'calls of all callers together',
  person: 'calls of a person, and of agents for them',
  role: 'calls of a role',
  run: 'calls of a run',
  agent: 'calls of an agent',
};

const exhausted = ({ of, each, calls, windowSeconds }: CompiledRate, leftMs: number): PlatformError => {
  const retryAfterSeconds = Math.max(1, Math.ceil(leftMs / 1000));
  return new PlatformError(
    'rate_exhausted',
    `${of} allows ${calls} ${whose[each]} in ${windowSeconds} s, and they are used up; try again in ${retryAfterSeconds} s.`,
    { facts: { limit: of, each, retryAfterSeconds, wasSent: false } },
  );
};

const uncounted = ({ of }: CompiledRate, cause: unknown): PlatformError =>
  new PlatformError(
    'store_unavailable',
    `It cannot be counted at the moment how often ${of} was called, so it is not; try again in a few seconds.`,
    {
      cause,
      facts: { retryAfterSeconds: 2, wasSent: false },
    },
  );

/**
 * Counts calls against rates that several gateways share. Each gateway spends from a slice of the window that it has taken from Postgres,
 * so no query is made for most calls, and all of them together never pass the limit; what a gateway has taken and does not spend is lost
 * until the window ends. A window that is spent is not asked for again before its end.
 * @param options.now - monotonic milliseconds
 */
export const createRateCounter = ({ take, now = () => performance.now() }: { take: TakeRate; now?: () => number }) => {
  const purses = new Map<string, Purse>();

  const purseOf = (key: string): Purse => {
    const found = purses.get(key);
    if (found) return found;
    if (purses.size >= mostCounters) for (const [each, { until, taking }] of purses) if (until <= now() && !taking) purses.delete(each);
    const made: Purse = { left: 0, until: 0, isSpent: false, taking: undefined, askAgainAt: 0 };
    purses.set(key, made);
    return made;
  };

  const fill = async (purse: Purse, rate: CompiledRate & { calls: number }, key: string): Promise<void> => {
    const askedAt = now();
    const slice = sliceOf(rate.calls);
    let grant: RateGrant;
    try {
      const late = delay(longestTakeMs, undefined, { ref: false }).then(() => {
        throw new Error(`no answer in ${longestTakeMs} ms`);
      });
      grant = await Promise.race([take({ key, windowSeconds: rate.windowSeconds, slice, limit: rate.calls }), late]);
    } catch (cause) {
      if (!rate.isConservative) throw uncounted(rate, cause);
      // one slice a window by itself, counted from now: never more than what a gateway may take at once
      if (purse.until <= now()) Object.assign(purse, { left: slice, until: now() + rate.windowSeconds * 1000, isSpent: false });
      else purse.isSpent = purse.left === 0;
      purse.askAgainAt = now() + longestTakeMs;
      return;
    }
    // counted from the question, so that it ends here no later than there
    const until = askedAt + grant.windowLeftMs;
    const isSame = Math.abs(until - purse.until) < 500 && purse.askAgainAt === 0;
    purse.left = (isSame && now() < purse.until ? purse.left : 0) + grant.granted;
    purse.until = until;
    purse.askAgainAt = 0;
    purse.isSpent = grant.granted < slice;
  };
  const begin = (purse: Purse, rate: CompiledRate & { calls: number }, key: string): Promise<void> => {
    purse.taking ??= fill(purse, rate, key).finally(() => {
      purse.taking = undefined;
    });
    return purse.taking;
  };

  const spend = (rate: CompiledRate & { calls: number }, key: string): void | Promise<void> => {
    const purse = purseOf(key);
    const at = now();
    if (at < purse.until) {
      if (purse.left > 0) {
        purse.left -= 1;
        const slice = sliceOf(rate.calls);
        if (!purse.isSpent && slice > 4 && purse.left < slice * nearlyEmpty) begin(purse, rate, key).catch(() => undefined);
        return;
      }
      if (purse.isSpent && (purse.askAgainAt === 0 || at < purse.askAgainAt)) throw exhausted(rate, purse.until - at);
    }
    return begin(purse, rate, key).then(() => spend(rate, key));
  };

  /**
   * Spends one call of a rate for one subject; a promise only where the database has to be asked first.
   * @throws {PlatformError} `rate_exhausted`, `store_unavailable`; at once or by the promise
   */
  return (rate: CompiledRate, subject: string): void | Promise<void> =>
    rate.calls === undefined
      ? undefined
      : spend(rate as CompiledRate & { calls: number }, subject === '' ? rate.key : `${rate.key} ${subject}`);
};
