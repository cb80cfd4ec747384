import { sql } from 'drizzle-orm';
import type { Logger } from '../telemetry/logger.ts';
import { type Database, guarded } from './database.ts';
import { repeat } from './repeat.ts';

/** So far two clocks may be apart before it is said. */
const apartMs = 30_000;

const middleOf = (...times: [number, number, number]): number => times.toSorted((one, other) => one - other)[1] as number;

/**
 * The time as two of three know it: the database, this machine, and what has passed since it was last known. Whichever jumps alone, an hour
 * forward or back, moves nothing: no hold ends early, no wait begins anew. Until the database has answered it is the machine's.
 * @param options.wall - milliseconds since the epoch, as this machine says
 * @param options.monotonic - milliseconds since whenever; it never jumps
 * @param options.intervalMs - from one question to the database to the next
 * @returns `now`, `ask`, which asks the database at once, and `close`
 */
export const createSteadyClock = ({
  database,
  logger,
  wall = Date.now,
  monotonic = () => performance.now(),
  intervalMs = 10_000,
}: {
  database: Database;
  logger: Logger;
  wall?: () => number;
  monotonic?: () => number;
  intervalMs?: number;
}) => {
  /** Differences to what never jumps: of the time as it was known last, and as the database said. */
  let steady: number | undefined;
  let stored: number | undefined;
  let isApart = false;

  const nowMs = (): number => {
    if (stored === undefined) return wall();
    const passed = monotonic();
    // at the beginning there are two: the earlier one ends nothing too early
    if (steady === undefined) return Math.min(wall(), stored + passed);
    return middleOf(wall(), stored + passed, steady + passed);
  };

  const ask = async (): Promise<void> => {
    const askedAt = monotonic();
    const { rows } = await guarded(() => database.execute<{ now: string }>(sql`select (extract(epoch from now()) * 1000)::text as now`));
    const answeredAt = monotonic();
    stored = Number(rows[0]?.now) - (askedAt + answeredAt) / 2;
    steady = nowMs() - monotonic();
    const aheadMs = Math.round(wall() - stored - monotonic());
    const wasApart = isApart;
    isApart = Math.abs(aheadMs) > apartMs;
    if (isApart && !wasApart)
      logger.warn({ aheadMs }, 'the clocks of this machine and of the database are apart; the time is that of the one that did not jump');
  };
  const loop = repeat({ work: ask, intervalMs, onFailure: () => undefined });

  return { now: (): Date => new Date(nowMs()), ask, close: (): Promise<void> => loop.close() };
};
export type SteadyClock = ReturnType<typeof createSteadyClock>;
