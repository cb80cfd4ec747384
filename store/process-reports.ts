import { eq, lt, sql } from 'drizzle-orm';
import type { ProcessName, ProcessOrder, ProcessReport } from '../schema/process-report.ts';
import { processAnswers, processOrders, processReports } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** `isLive`: renewed lately; a process that has stopped in good order has none. */
export type StoredReport = { instance: string; report: ProcessReport; startedAt: Date; reportedAt: Date; isLive: boolean };
export type StoredOrder = { id: string; order: ProcessOrder; givenAt: Date };

/** The channel on which orders are told. */
export const ordersChannel = 'quarterdeck_orders';

/** A process that has said nothing for so long is gone: three reports were left out. */
export const reportLivesMs = 30_000;
const orderLivesMs = 3_600_000;

/** Puts down what a process has in its memory. */
export const putReport = (database: Database, { instance, report }: Pick<StoredReport, 'instance' | 'report'>): Promise<void> =>
  guarded(async () => {
    await database
      .insert(processReports)
      .values({ instance, report })
      .onConflictDoUpdate({ target: processReports.instance, set: { report, reportedAt: sql`now()` } });
  });

export const removeReport = (database: Database, instance: string): Promise<void> =>
  guarded(async () => {
    await database.delete(processReports).where(eq(processReports.instance, instance));
  });

/** What processes have said, those that went without a word for an hour included; alive or not by the database's own clock. */
export const listReports = (database: Database): Promise<StoredReport[]> =>
  guarded(() =>
    database
      .select({
        instance: processReports.instance,
        report: processReports.report,
        startedAt: processReports.startedAt,
        reportedAt: processReports.reportedAt,
        isLive: sql<boolean>`${processReports.reportedAt} >= now() - make_interval(secs => ${reportLivesMs / 1000})`,
      })
      .from(processReports)
      .orderBy(processReports.instance),
  );

/** Gives an order, or finds it given. */
export const giveOrder = (database: Database, id: string, order: ProcessOrder): Promise<void> =>
  guarded(async () => {
    await database.insert(processOrders).values({ id, order }).onConflictDoNothing();
    await database.execute(sql`select pg_notify(${ordersChannel}, ${id})`);
  });

/** Orders that a process has not answered yet: given since it started, and not long ago. */
export const listOpenOrders = (
  database: Database,
  { instance, process }: { instance: string; process: ProcessName },
): Promise<StoredOrder[]> =>
  guarded(() =>
    database
      .select()
      .from(processOrders)
      .where(
        sql`${processOrders.givenAt} >= (select ${processReports.startedAt} from ${processReports} where ${processReports.instance} = ${instance}) and ${processOrders.givenAt} > now() - make_interval(secs => ${orderLivesMs / 1000})
          and ${processOrders.order}->>'process' = ${process}
          and not exists (select 1 from ${processAnswers} where ${processAnswers.orderId} = ${processOrders.id} and ${processAnswers.instance} = ${instance})`,
      )
      .orderBy(processOrders.givenAt),
  );

export const answerOrder = (database: Database, answer: { orderId: string; instance: string; failure: string }): Promise<void> =>
  guarded(async () => {
    await database.insert(processAnswers).values(answer).onConflictDoNothing();
  });

export const listAnswers = (database: Database, orderId: string): Promise<{ instance: string; failure: string }[]> =>
  guarded(() =>
    database
      .select({ instance: processAnswers.instance, failure: processAnswers.failure })
      .from(processAnswers)
      .where(eq(processAnswers.orderId, orderId)),
  );

/** Takes away what processes that are long gone have left, and orders that are over. */
export const sweepReports = (database: Database): Promise<void> =>
  guarded(async () => {
    const before = sql`now() - make_interval(secs => ${orderLivesMs / 1000})`;
    await database.delete(processReports).where(lt(processReports.reportedAt, before));
    await database.delete(processAnswers).where(lt(processAnswers.answeredAt, before));
    await database.delete(processOrders).where(lt(processOrders.givenAt, before));
  });

export const isOrderGiven = (database: Database, id: string): Promise<boolean> =>
  guarded(async () => (await database.select({ id: processOrders.id }).from(processOrders).where(eq(processOrders.id, id))).length > 0);
