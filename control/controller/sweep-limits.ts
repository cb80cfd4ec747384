import type { Database } from '../../store/database.ts';
import { settleAbandoned } from '../../store/ledger.ts';
import { forgetOldHolds } from '../../store/rate-holds.ts';
import { forgetLostPlaces } from '../../store/rate-places.ts';
import { forgetOldWindows } from '../../store/rate-windows.ts';
import type { Logger } from '../../telemetry/logger.ts';

const intervalMs = 60_000;
/** Longer than a gateway tries to put down what a call has cost. */
const abandonedMs = 900_000;

/** Settles reservations that nobody will any more, and forgets windows of rates that ended long ago places that gateways held which died, and
 * what callers were held to that are gone; once a minute is enough. */
export const createLimitSweep = ({
  database,
  clock,
  logger,
}: {
  database: Database;
  clock: () => Date;
  logger: Logger;
}): (() => Promise<void>) => {
  let lastAt = 0;
  return async () => {
    const now = clock().getTime();
    if (now - lastAt < intervalMs) return;
    const settled = await settleAbandoned(database, new Date(now - abandonedMs));
    if (settled > 0) logger.warn({ settled }, 'reservations that nobody settled stay charged with their worst case');
    await forgetOldWindows(database);
    await forgetLostPlaces(database);
    await forgetOldHolds(database);
    lastAt = now;
  };
};
