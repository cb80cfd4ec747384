import type { RateHold } from '../../schema/rate-hold.ts';
import type { Database } from '../../store/database.ts';
import { listenTo } from '../../store/listen-to.ts';
import { listRateHolds, rateHoldsChannel } from '../../store/rate-holds.ts';
import { repeat } from '../../store/repeat.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** A notice can be lost; an order of the reconciler has it read at once in any case. */
const pollMs = 5_000;

/**
 * Follows who is held to less than declared. While the database is away the last view stays: what is held stays held.
 * @param options.onChange - called with each view that differs from the last, the first one before `start` resolves
 */
export const followRateHolds = ({
  database,
  logger,
  onChange,
}: {
  database: Database;
  logger: Logger;
  onChange: (holds: readonly RateHold[]) => void;
}) => {
  let seen: string | undefined;
  let reading: Promise<void> = Promise.resolve();
  let stop: (() => Promise<void>) | undefined;

  const read = async (): Promise<void> => {
    const holds = await listRateHolds(database);
    const text = JSON.stringify(holds);
    if (text !== seen) onChange(holds);
    seen = text;
  };
  /** One read after another, so that an older answer never replaces a newer one; resolves when what was held before the call is in force. */
  const refresh = (): Promise<void> => {
    reading = reading.catch(() => undefined).then(read);
    return reading;
  };

  return {
    refresh,
    start: async (): Promise<void> => {
      await refresh();
      const polling = repeat({
        work: refresh,
        intervalMs: pollMs,
        onFailure: (error) => logger.warn({ err: error }, 'it cannot be read who is held to less; what was held stays so'),
      });
      const look = (): void => void refresh().catch(() => undefined); // the poll says it a little later
      const listener = listenTo(rateHoldsChannel, { database, logger, onMessage: look, onListening: look });
      stop = async () => {
        listener.close();
        await polling.close();
        await reading.catch(() => undefined);
      };
    },
    close: async (): Promise<void> => stop?.(),
  };
};
