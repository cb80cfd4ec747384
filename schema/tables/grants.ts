import { index, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

/** What people granted to the platform at MCP servers: one grant for each person and server. Tokens are sealed. */
export const backendGrants = pgTable(
  'backend_grants',
  {
    org: text().notNull(),
    project: text().notNull(),
    server: text().notNull(),
    personId: text('person_id').notNull(),
    /** The declaration that it was given for: a server of the same name at another address is another one. */
    serverUid: text('server_uid').notNull(),
    url: text().notNull(),
    /** The only authorization server that ever sees the tokens. */
    issuer: text().notNull(),
    resource: text().notNull(),
    scopes: text().array().notNull(),
    sealed: bytea().notNull(),
    /** Of the access token; null where its issuer does not say. */
    expiresAt: timestamp('expires_at', { withTimezone: true }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    refreshedAt: timestamp('refreshed_at', { withTimezone: true }).notNull().defaultNow(),
    /** Taken back here: not used any more, and taken back at its issuer next. */
    revokedAt: timestamp('revoked_at', { withTimezone: true }),
    /** Who renews it just now, and until when nobody else does: a refresh token is good once. */
    renewalClaim: text('renewal_claim'),
    renewalUntil: timestamp('renewal_until', { withTimezone: true }),
  },
  (table) => [
    primaryKey({ columns: [table.org, table.project, table.server, table.personId] }),
    index('backend_grants_expiry').on(table.expiresAt),
  ],
);

/** Clients that were registered for a server at an authorization server (RFC 7591); sealed, for they may have a secret. */
export const backendClients = pgTable(
  'backend_clients',
  {
    org: text().notNull(),
    project: text().notNull(),
    server: text().notNull(),
    issuer: text().notNull(),
    sealed: bytea().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.server, table.issuer] })],
);

/**
 * What a company's identity provider said of a person at their last login, where a server of the org wants assertions made of it (ID-JAG);
 * sealed, and of no use after its end.
 */
export const identityAssertions = pgTable(
  'identity_assertions',
  {
    org: text().notNull(),
    project: text().notNull(),
    /** Name of the `IdentityProvider`. */
    provider: text().notNull(),
    personId: text('person_id').notNull(),
    issuer: text().notNull(),
    sealed: bytea().notNull(),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.provider, table.personId] })],
);
