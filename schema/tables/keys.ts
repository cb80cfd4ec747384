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

/**
 * Keys that everything else is sealed with, by what they are for (`SealedName`): each wrapped by a key that the database never sees. A row
 * without `wrapped` and without `retired_at` was asked for, and is filled in by whoever holds the wrapping key. `original` is the key from
 * before the first rotation: it is made from the wrapping key, and has a row only once it is retired.
 */
export const sealKeys = pgTable(
  'seal_keys',
  {
    name: text().notNull(),
    id: text().notNull(),
    wrapped: bytea(),
    askedAt: timestamp('asked_at', { withTimezone: true }).notNull().defaultNow(),
    /** From then on it seals: a while after it was made, so that everybody has read it. */
    sealsFrom: timestamp('seals_from', { withTimezone: true }),
    retiredAt: timestamp('retired_at', { withTimezone: true }),
  },
  (table) => [
    primaryKey({ columns: [table.name, table.id] }),
    uniqueIndex('seal_keys_asked').on(table.name).where(sql`seals_from is null and retired_at is null`),
  ],
);
