import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessOrder } from '../../schema/process-report.ts';
import { giveOrder, listAnswers, listReports } from '../../store/process-reports.ts';
import type { PlatformContext } from './platform-context.ts';

const lookEveryMs = 200;

export type OrderOutcome = { kind: 'done' } | { kind: 'nobody' } | { kind: 'failed'; message: string } | { kind: 'late'; message: string };

/**
 * Gives an order to all processes of its kind that are there, and waits for what becomes of it. Given again under the same id it is the same
 * order: what was answered stays so.
 */
export const createOrders =
  ({ database, patience }: Pick<PlatformContext, 'database' | 'patience'>) =>
  async (id: string, order: ProcessOrder, signal: AbortSignal): Promise<OrderOutcome> => {
    const live = async () =>
      (await listReports(database))
        .filter(({ report, isLive }) => isLive && report.process === order.process)
        .map(({ instance }) => instance);
    if ((await live()).length === 0) return { kind: 'nobody' };
    await giveOrder(database, id, order);
    const untilMs = performance.now() + patience.orderMs;
    for (;;) {
      const answers = new Map((await listAnswers(database, id)).map(({ instance, failure }) => [instance, failure]));
      const there = await live();
      const silent = there.filter((instance) => !answers.has(instance));
      if (silent.length === 0 && answers.size > 0) {
        const failures = there.flatMap((instance) => (answers.get(instance) ? [`${instance}: ${answers.get(instance)}`] : []));
        return failures.length > 0 ? { kind: 'failed', message: failures.join('; ') } : { kind: 'done' };
      }
      if (performance.now() > untilMs) return { kind: 'late', message: `${silent.join(', ') || 'nobody'} has not answered in time.` };
      await delay(lookEveryMs, undefined, { signal });
    }
  };
export type Orders = ReturnType<typeof createOrders>;
