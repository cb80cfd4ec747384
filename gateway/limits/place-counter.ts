import { setTimeout as delay } from 'node:timers/promises';
import { PlatformError } from '../../schema/errors.ts';
import type { RatePlaces } from '../../store/rate-places.ts';
import type { CompiledRate } from './rate-table.ts';

/** How long the places of a gateway that died are nobody's. */
export const leaseSeconds = 6;
const renewEveryMs = 1_000;
/** What is not used for so long is given back, though nobody has asked for it. */
const idleMs = 60_000;
const partsOfLimit = 10;
const longestTakeMs = 1_000;
/** After a refusal the database is not asked again at once, however many calls come. */
const askAgainMs = 200;
/** What other gateways hold and do not use is there by then. */
const giveBackMs = 100;

type Limited = CompiledRate & { atOnce: number };

/** What this gateway holds of one limit for one subject. */
type Holding = {
  places: number;
  inUse: number;
  /** How many of them another gateway waits for: they are given back as calls end. */
  owed: number;
  /** Until when the lease is good, by our own clock. */
  until: number;
  refusedUntil: number;
  unansweredUntil: number;
  usedAt: number;
  /** Calls that wait for an answer of the database. */
  waiting: number;
  /** What is under way with the database; one thing after another. */
  asking: Promise<void> | undefined;
};

export const tooMany = ({ of, atOnce }: Pick<CompiledRate, 'of' | 'atOnce'>, what = 'calls'): PlatformError =>
  new PlatformError('calls_exhausted', `${of} allows ${atOnce} ${what} at a time; wait until one of them has ended.`, {
    facts: { limit: of, retryAfterSeconds: 1, retryInMs: 1000, wasSent: false },
  });

const uncounted = ({ of }: CompiledRate, cause?: unknown): PlatformError =>
  new PlatformError(
    'store_unavailable',
    `It cannot be counted at the moment how many calls of ${of} are under way, so none begins; try again in a few seconds.`,
    { cause, facts: { retryAfterSeconds: 2, wasSent: false } },
  );

const shareOf = (atOnce: number): number => Math.max(1, Math.ceil(atOnce / partsOfLimit));

/**
 * Counts calls that are under way over all gateways. Each holds places by a lease, a tenth of the limit at a time, and keeps those that it
 * has used until another one wants them, so the database is asked when a gateway needs more than it has, and once a second for all that it
 * holds. Places of a gateway that dies are free when their lease is over.
 * @param options.gateway - this start of this gateway
 * @param options.now - monotonic milliseconds
 */
export const createPlaceCounter = ({
  places: store,
  gateway,
  now = () => performance.now(),
}: {
  places: RatePlaces;
  gateway: string;
  now?: () => number;
}) => {
  const holdings = new Map<string, Holding>();
  let timer: NodeJS.Timeout | undefined;
  let stopHearing: (() => void) | undefined;

  const isGood = (holding: Holding): boolean => now() < holding.until;
  const freeIn = (holding: Holding, atOnce: number): number =>
    isGood(holding) ? Math.min(holding.places - holding.owed, atOnce) - holding.inUse : 0;

  const isUnused = (holding: Holding): boolean => holding.inUse === 0 && holding.waiting === 0;

  const alone = (holding: Holding, work: () => Promise<void>): Promise<void> => {
    const before = holding.asking ?? Promise.resolve();
    const mine: Promise<void> = before
      .catch(() => undefined)
      .then(work)
      .finally(() => {
        if (holding.asking === mine) holding.asking = undefined;
      });
    holding.asking = mine;
    return mine;
  };

  const giveBack = (key: string, holding: Holding): void => {
    void alone(holding, async () => {
      const kept = Math.max(holding.inUse, holding.places - Math.max(holding.owed, 0));
      const isOver = holding.inUse === 0 && kept === 0;
      if (kept === holding.places && !isOver) return;
      holding.owed = Math.max(0, holding.owed - (holding.places - kept));
      holding.places = kept;
      await store.keep({ key, gateway, places: kept });
      if (isOver && isUnused(holding) && holding.places === 0) holdings.delete(key);
    }).catch(() => undefined); // it expires all the same
  };

  const renewAll = async (): Promise<void> => {
    const askedAt = now();
    const held = new Map((await store.renew(gateway, leaseSeconds)).map((each) => [each.key, each]));
    for (const [key, holding] of holdings) {
      if (holding.until > askedAt + leaseSeconds * 1000 || holding.asking) continue; // taken meanwhile
      const renewed = held.get(key);
      if (!renewed) {
        if (isUnused(holding)) holdings.delete(key);
        holding.until = 0;
        continue;
      }
      holding.until = askedAt + leaseSeconds * 1000;
      if (renewed.isWanted) holding.owed = Math.max(1, holding.places - holding.inUse);
      else if (holding.inUse === 0 && now() - holding.usedAt >= idleMs) holding.owed = holding.places;
      if (holding.owed > 0) giveBack(key, holding);
    }
  };
  let renewing: Promise<void> | undefined;
  const renew = (): Promise<void> => {
    renewing ??= renewAll().finally(() => {
      renewing = undefined;
    });
    return renewing;
  };
  const look = (): void => {
    if (holdings.size > 0) renew().catch(() => undefined);
  };

  const keepUp = (): void => {
    stopHearing ??= store.onWanted(look);
    timer ??= setInterval(() => {
      if (holdings.size > 0) return look();
      clearInterval(timer);
      timer = undefined;
    }, renewEveryMs).unref();
  };

  const holdingOf = (key: string): Holding => {
    const found = holdings.get(key);
    if (found) return found;
    const made: Holding = {
      places: 0,
      inUse: 0,
      owed: 0,
      until: 0,
      refusedUntil: 0,
      unansweredUntil: 0,
      usedAt: now(),
      waiting: 0,
      asking: undefined,
    };
    holdings.set(key, made);
    keepUp();
    return made;
  };

  /** @returns whether others may be about to give back what they do not use */
  const ask = async (holding: Holding, { atOnce }: Limited, key: string, isAgain: boolean): Promise<boolean> => {
    const isTooSoon = !isAgain && now() < holding.refusedUntil;
    if (freeIn(holding, atOnce) > 0 || isTooSoon || now() < holding.unansweredUntil) return false;
    const askedAt = now();
    // calls that run are counted even where the lease was lost; what was lost besides them is gone
    const held = isGood(holding) ? holding.places : holding.inUse;
    const late = delay(longestTakeMs, undefined, { ref: false }).then(() => {
      throw new Error(`no answer in ${longestTakeMs} ms`);
    });
    try {
      const { more, isHeldElsewhere } = await Promise.race([
        store.take({ key, gateway, held, more: shareOf(atOnce), limit: atOnce, leaseSeconds }),
        late,
      ]);
      Object.assign(holding, { places: held + more, until: askedAt + leaseSeconds * 1000, unansweredUntil: 0 });
      if (more > 0) holding.owed = 0;
      else holding.refusedUntil = now() + askAgainMs;
      return more === 0 && isHeldElsewhere;
    } catch (error) {
      holding.unansweredUntil = now() + longestTakeMs;
      throw error;
    }
  };

  const enter = async (holding: Holding, rate: Limited, key: string): Promise<void> => {
    let cause: unknown;
    let mayWait = false;
    const askFor = (isAgain: boolean): Promise<void> =>
      alone(holding, async () => {
        mayWait = await ask(holding, rate, key, isAgain);
      }).catch((error: unknown) => {
        cause = error;
      });
    holding.waiting += 1;
    await askFor(false);
    if (mayWait) {
      await delay(giveBackMs);
      await askFor(true);
    }
    holding.waiting -= 1;
    if (freeIn(holding, rate.atOnce) > 0) holding.inUse += 1;
    else if (now() >= holding.unansweredUntil) throw tooMany(rate);
    else if (!rate.isConservative) throw uncounted(rate, cause);
    // by itself it lets so many run as it may take at once
    else if (holding.inUse < shareOf(rate.atOnce)) holding.inUse += 1;
    else throw tooMany(rate);
  };

  return {
    /**
     * Takes a place for a call; a promise only where the database has to be asked first.
     * @throws {PlatformError} `calls_exhausted`, `store_unavailable`, by the promise
     */
    enter: (rate: Limited, key: string): void | Promise<void> => {
      const holding = holdingOf(key);
      holding.usedAt = now();
      if (freeIn(holding, rate.atOnce) > 0) {
        holding.inUse += 1;
        return;
      }
      return enter(holding, rate, key);
    },
    leave: (key: string): void => {
      const holding = holdings.get(key);
      if (!holding) return;
      holding.inUse = Math.max(0, holding.inUse - 1);
      holding.usedAt = now();
      if (holding.owed > 0) giveBack(key, holding);
    },
    /** What the clock does. */
    renew,
    close: async (): Promise<void> => {
      clearInterval(timer);
      stopHearing?.();
      if (holdings.size > 0) await store.leave(gateway).catch(() => undefined);
      holdings.clear();
    },
  };
};
export type PlaceCounter = ReturnType<typeof createPlaceCounter>;
