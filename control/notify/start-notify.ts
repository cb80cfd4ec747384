import { takeDeliveries } from '../../store/channel-deliveries.ts';
import { type DeliveryDependencies, deliver } from './deliver.ts';
import { planDeliveries } from './plan-deliveries.ts';

const atOnce = 20;

/**
 * Tells people by their channels, again and again until it is closed. Of several that run, each message is one's: rows are taken, so it needs
 * no leader. A lost database is waited for.
 * @param options.intervalMs - from the end of one look to the beginning of the next
 * @returns `close`, which waits for what is under way
 */
export const startNotify = ({ intervalMs, ...dependencies }: DeliveryDependencies & { intervalMs: number }): { close(): Promise<void> } => {
  const { database, logger } = dependencies;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let isAway = false;

  const look = async (): Promise<void> => {
    try {
      await planDeliveries(database);
      const taken = await takeDeliveries(database, atOnce);
      await Promise.all(taken.map((delivery) => deliver(dependencies, delivery)));
      if (isAway) logger.info('channels are told again');
      isAway = false;
    } catch (error) {
      if (!isAway) logger.warn({ code: (error as { code?: string }).code }, 'what is to be told cannot be read; it is tried again');
      isAway = true;
    }
  };

  let current: Promise<void> = Promise.resolve();
  const next = (delayMs: number): void => {
    timer = setTimeout(() => {
      current = look().then(() => {
        if (!isClosed) next(intervalMs);
      });
    }, delayMs);
  };
  next(0);

  return {
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await current;
    },
  };
};
