import { takeDeliveries } from '../../store/channel-deliveries.ts';
import { repeat } from '../../store/repeat.ts';
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
  const { close } = repeat({
    work: async () => {
      await planDeliveries(database);
      const taken = await takeDeliveries(database, atOnce);
      await Promise.all(taken.map((delivery) => deliver(dependencies, delivery)));
    },
    intervalMs,
    onFailure: (error) => logger.warn({ code: (error as { code?: string }).code }, 'what is to be told cannot be read; it is tried again'),
    onRecovery: () => logger.info('channels are told again'),
  });
  return { close };
};
