import type { Database } from '../../store/database.ts';
import { repeat } from '../../store/repeat.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { createLeadership, type leaderLocks } from './leadership.ts';

/**
 * Does what one process alone does, again and again while it leads; of several that want the same lock one leads, and a lost database is waited for.
 * @param options.lock - of what is led
 * @param options.isNeeded - asked first: where nothing is to be led, the database is not asked and the lead is left to others
 * @param options.rest - called whenever this process does not lead, or cannot know that it does
 * @param options.intervalMs - from the end of one round to the beginning of the next
 * @param options.who - who it is, for the log
 * @returns ends the loop, waits for the round and for `settle`, and gives the lead up
 */
export const startLeading = ({
  database,
  lock,
  isNeeded = () => true,
  work,
  rest,
  settle,
  intervalMs,
  logger,
  who,
}: {
  database: Database;
  lock: (typeof leaderLocks)[keyof typeof leaderLocks];
  isNeeded?: () => boolean;
  work: () => Promise<void> | void;
  rest: () => void;
  settle: () => Promise<void>;
  intervalMs: number;
  logger: Logger;
  who: string;
}): (() => Promise<void>) => {
  const leadership = createLeadership(database, lock);
  const loop = repeat({
    work: async () => {
      if (!isNeeded()) {
        rest();
        return leadership.giveUp();
      }
      if (!(await leadership.hold())) return rest();
      await work();
    },
    intervalMs,
    onFailure: (error) => {
      rest(); // by now another may lead
      logger.warn({ code: (error as { code?: string }).code }, `${who} cannot reach its database; it keeps trying`);
    },
    onRecovery: () => logger.info(`${who} has its database back`),
  });
  return async () => {
    await loop.close();
    await settle();
    leadership.giveUp();
  };
};
