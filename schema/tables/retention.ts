import { bigint, integer, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import type { RetainedKind } from '../retention.ts';
import { bytea } from './bytea.ts';

/**
 * What is left of a row of the audit after its project's retention: its place in the chain and its digest. `removal` is named by the row of
 * the audit that says who removed what. Only the function `remove_audit_rows` adds to it.
 */
export const auditRemoved = pgTable('audit_removed', {
  sequence: bigint({ mode: 'number' }).primaryKey(),
  org: text().notNull(),
  project: text().notNull(),
  /** Empty in rows from before there were chains. */
  writer: text(),
  epoch: integer(),
  link: integer(),
  position: integer(),
  digest: bytea(),
  removal: text().notNull(),
});

/** How far the retention of a project has come, for messages about what is not there any more. What proves it is in the audit. */
export const retentionProgress = pgTable(
  'retention_progress',
  {
    org: text().notNull(),
    project: text().notNull(),
    what: text().$type<RetainedKind>().notNull(),
    /** What was older, or was not used since, is gone. */
    removedBefore: timestamp('removed_before', { withTimezone: true }).notNull(),
    lastAt: timestamp('last_at', { withTimezone: true }).notNull(),
    rows: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.what] })],
);
