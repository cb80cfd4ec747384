import { sql } from 'drizzle-orm';
import { pgTable, primaryKey, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

/**
 * Keys that an org's documents are sealed with, each wrapped by a key that the database never sees. `wrapped` is null once a key was
 * destroyed; its row stays, and says when.
 */
export const orgKeys = pgTable(
  'org_keys',
  {
    org: text().notNull(),
    id: text().notNull(),
    wrapped: bytea(),
    state: text().$type<'active' | 'retired' | 'destroyed'>().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    retiredAt: timestamp('retired_at', { withTimezone: true }),
    destroyedAt: timestamp('destroyed_at', { withTimezone: true }),
  },
  (table) => [primaryKey({ columns: [table.org, table.id] }), uniqueIndex('org_keys_active').on(table.org).where(sql`state = 'active'`)],
);
