import { boolean, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';

export const orgs = pgTable('orgs', {
  org: text().primaryKey(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
});

export const people = pgTable(
  'people',
  {
    org: text().notNull(),
    id: text().notNull(),
    groups: text().array().notNull().default([]),
    roles: text().array().notNull().default([]),
    disabled: boolean().notNull().default(false),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.id] })],
);

/** Opaque tokens of people, kept as SHA-256 alone. */
export const personTokens = pgTable('person_tokens', {
  tokenHash: text('token_hash').primaryKey(),
  org: text().notNull(),
  personId: text('person_id').notNull(),
  /** What the audit shows of how the person came in, e.g. `admin-token`. */
  stamp: text().notNull(),
  expiresAt: timestamp('expires_at', { withTimezone: true }),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
});
