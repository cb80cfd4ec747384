import type { Logger } from '../telemetry/logger.ts';
import type { Database } from './database.ts';
import { createRewrapper } from './rewrap-sealed.ts';
import type { SealRing } from './seal-ring.ts';

/** Of one round, so that whoever answers calls in the same process keeps its turn. */
const batchesAtOnce = 10;
/** Rows that were under way when a key began to seal have come by then. */
const settledRounds = 3;

/**
 * Seals anew in the background what stands on earlier keys, as long as there is any; then it costs nothing until the next rotation.
 * @param options.everyMs - from one round to the next
 */
export const keepSealed = ({
  database,
  ring,
  logger,
  everyMs = 5_000,
}: {
  database: Database;
  ring: SealRing;
  logger: Logger;
  everyMs?: number;
}): { close(): Promise<void> } => {
  const rewrap = createRewrapper({ database, ring, logger });
  let current = ring.currentId();
  // a process that was killed in the middle goes on where rows still stand on earlier keys
  let quietRounds = current === undefined ? settledRounds : 0;
  let isClosed = false;

  const round = async (): Promise<void> => {
    if (ring.currentId() !== current) {
      current = ring.currentId();
      quietRounds = 0;
    }
    if (quietRounds >= settledRounds) return;
    for (let count = 0; count < batchesAtOnce && !isClosed; count += 1) {
      const { isDone } = await rewrap();
      if (!isDone) continue;
      quietRounds += 1;
      return;
    }
  };

  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= round()
      .catch((error: unknown) => logger.warn({ err: error, name: ring.name }, 'rows could not be sealed anew; the next round tries again'))
      .finally(() => {
        running = undefined;
      });
  }, everyMs);
  timer.unref();
  return {
    close: async () => {
      isClosed = true;
      clearInterval(timer);
      await running;
    },
  };
};
