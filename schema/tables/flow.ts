import { boolean, integer, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import type { FlowSource } from '../flow-label.ts';

/**
 * What each agent, and each client of a person, carries of all that it has read. Written before what is read is handed over; it only rises,
 * until a person releases it. `subject` is `agent:ID`, or `login:…` and `token:…` of a person, whose rows are in the project `default`.
 */
export const flowLabels = pgTable(
  'flow_labels',
  {
    org: text().notNull(),
    project: text().notNull(),
    subject: text().notNull(),
    secrecy: integer().notNull(),
    tainted: boolean().notNull(),
    sources: jsonb().$type<FlowSource[]>().notNull(),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.subject] })],
);
