import { boolean, index, integer, jsonb, pgTable, primaryKey, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

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
    /** Who says that it is them: an OpenID Connect issuer and its name for the person. Null for people whom nobody vouches for. */
    issuer: text(),
    subject: text(),
    email: text(),
    name: text(),
    lastLoginAt: timestamp('last_login_at', { withTimezone: true }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.org, table.id] }),
    // two logins at once are still one person
    uniqueIndex('people_issuer_subject').on(table.org, table.issuer, table.subject),
  ],
);

/**
 * What the issuer remembers: logins under way, browser sessions, grants, codes, refresh tokens, registered clients. A value that would
 * let somebody in is kept as its SHA-256 alone, so that a copy of this table opens nothing.
 */
export const issuerRecords = pgTable(
  'issuer_records',
  {
    model: text().notNull(),
    /** SHA-256 of the value, or of a grant the id itself, which tokens carry as `sid`. */
    id: text().notNull(),
    payload: jsonb().$type<Record<string, unknown>>().notNull(),
    /** The grant it came from: what ends with it. */
    grantId: text('grant_id'),
    /** `org/person`. */
    account: text(),
    uid: text(),
    consumedAt: timestamp('consumed_at', { withTimezone: true }),
    expiresAt: timestamp('expires_at', { withTimezone: true }),
  },
  (table) => [
    primaryKey({ columns: [table.model, table.id] }),
    index('issuer_records_grant').on(table.grantId),
    index('issuer_records_account').on(table.account),
    index('issuer_records_uid').on(table.uid),
    index('issuer_records_expiry').on(table.expiresAt),
  ],
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

/**
 * Keys that the issuer signs with. A number is given once, so of several replicas that make the next key one does; which of them signs is
 * read from the times.
 */
export const signingKeys = pgTable('signing_keys', {
  number: integer().primaryKey(),
  kid: text().notNull().unique(),
  /** The private JWK, sealed with a key of the issuer's that the database does not have; gone once nothing needs it. */
  sealed: bytea(),
  madeAt: timestamp('made_at', { withTimezone: true }).notNull().defaultNow(),
  signsFrom: timestamp('signs_from', { withTimezone: true }).notNull(),
  deniedAt: timestamp('denied_at', { withTimezone: true }),
});
