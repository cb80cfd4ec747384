import type { ProcessOrder, ProcessReport } from '../schema/process-report.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Database } from './database.ts';
import { listenTo } from './listen-to.ts';
import { answerOrder, listOpenOrders, ordersChannel, putReport, removeReport, reportLivesMs, sweepReports } from './process-reports.ts';
import { repeat } from './repeat.ts';

const everyMs = reportLivesMs / 3;
/** Old rows are taken away by every so many-th report. */
const sweepEvery = 60;

/**
 * Tells what a process has in its memory, every ten seconds and after each order, and carries out what is asked of it: at once where the
 * database tells, else with the next report.
 * @param options.instance - this process; its row goes with it
 * @param options.carryOut - of an order for such processes; what it throws is the answer
 */
export const followOrders = <Report extends ProcessReport>({
  database,
  instance,
  report,
  carryOut,
  logger,
}: {
  database: Database;
  instance: string;
  report: () => Report;
  carryOut: (order: Extract<ProcessOrder, { process: Report['process'] }>) => Promise<void>;
  logger: Logger;
}): { close(): Promise<void> } => {
  let reports = 0;
  const underWay = new Map<string, Promise<void>>();

  const answer = async (orderId: string, order: ProcessOrder): Promise<void> => {
    const failure = await carryOut(order as Extract<ProcessOrder, { process: Report['process'] }>).then(
      () => '',
      (error: unknown) => (error instanceof Error ? error.message : 'it failed').slice(0, 1000) || 'it failed',
    );
    logger.info({ order: orderId, do: order.do, failure }, 'an order of the reconciler was carried out');
    // before the answer, so that whoever waits for it sees what came of it
    await putReport(database, { instance, report: report() });
    await answerOrder(database, { orderId, instance, failure });
  };
  /** Not waited for by the loop: a server that does not answer keeps no report away. */
  const begin = (orderId: string, order: ProcessOrder): void => {
    if (underWay.has(orderId)) return;
    const work = answer(orderId, order)
      .catch((error) => logger.warn({ err: error, order: orderId }, 'what became of an order could not be told; it is carried out again'))
      .finally(() => underWay.delete(orderId));
    underWay.set(orderId, work);
  };

  const loop = repeat({
    work: async () => {
      const said = report();
      await putReport(database, { instance, report: said });
      for (const { id, order } of await listOpenOrders(database, { instance, process: said.process })) begin(id, order);
      reports += 1;
      if (reports % sweepEvery === 0) await sweepReports(database);
    },
    intervalMs: everyMs,
    onFailure: (error) => logger.warn({ err: error }, 'what this process has could not be told; it keeps trying'),
  });
  let hearing: Promise<void> = Promise.resolve();
  const listener = listenTo(ordersChannel, {
    database,
    logger,
    onMessage: () => {
      hearing = hearing.then(() => loop.again());
    },
    onListening: () => undefined,
  });

  return {
    close: async () => {
      listener.close();
      await loop.close();
      await hearing;
      await Promise.all(underWay.values());
      await removeReport(database, instance).catch(() => undefined);
    },
  };
};
