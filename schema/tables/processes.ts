import { boolean, index, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import type { ProcessOrder, ProcessReport } from '../process-report.ts';

const instant = (name: string) => timestamp(name, { withTimezone: true });

/**
 * What each process of ours has in its memory, told by itself every few seconds: what it serves, not what it should. A row that has not been
 * renewed for a while is of a process that is gone.
 */
export const processReports = pgTable('process_reports', {
  instance: text().primaryKey(),
  report: jsonb().$type<ProcessReport>().notNull(),
  startedAt: instant('started_at').notNull().defaultNow(),
  reportedAt: instant('reported_at').notNull().defaultNow(),
});

/** What the reconciler asks of processes; told on the channel `quarterdeck_orders`. The id is that of the operation: one is given once. */
export const processOrders = pgTable(
  'process_orders',
  {
    id: text().primaryKey(),
    order: jsonb().$type<ProcessOrder>().notNull(),
    givenAt: instant('given_at').notNull().defaultNow(),
  },
  (table) => [index('process_orders_given').on(table.givenAt)],
);

/** What became of an order in each process that it is for; `failure` is empty where it was carried out. */
export const processAnswers = pgTable(
  'process_answers',
  {
    orderId: text('order_id').notNull(),
    instance: text().notNull(),
    failure: text().notNull().default(''),
    answeredAt: instant('answered_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.orderId, table.instance] })],
);

/** PolicySets of a project, whole, as they were when a gateway could put them into force or when they were replaced: what broken ones are restored from. */
export const policyRevisions = pgTable(
  'policy_revisions',
  {
    org: text().notNull(),
    project: text().notNull(),
    /** The engine's version of them. */
    revision: text().notNull(),
    policySets: jsonb('policy_sets').$type<{ name: string; spec: unknown }[]>().notNull(),
    /** Whether it was in force; others were replaced by one that was. */
    isGood: boolean('is_good').notNull().default(true),
    usedAt: instant('used_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.revision] })],
);
