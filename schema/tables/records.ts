import { index, integer, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

const created = () => timestamp('created_at', { withTimezone: true }).notNull().defaultNow();
const used = () => timestamp('used_at', { withTimezone: true }).notNull().defaultNow();

/**
 * Every call that may have an effect: the intent before it, the outcome after. Ids are its principal's own, so that nobody uses up those of
 * others. `outcome` is sealed with the gateway's key.
 */
export const operations = pgTable(
  'operations',
  {
    org: text().notNull(),
    project: text().notNull(),
    id: text().notNull(),
    principal: text().notNull(),
    target: text().notNull(),
    argumentsDigest: text('arguments_digest').notNull(),
    state: text().notNull(),
    gatewayInstance: text('gateway_instance').notNull(),
    outcome: bytea(),
    createdAt: created(),
    settledAt: timestamp('settled_at', { withTimezone: true }),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.principal, table.id] })],
);

/**
 * What decisions were made on: principals, resources and projects as policies saw them, and the policies. Each is written once, under the
 * digest by which rows of the audit refer to it. Apart from the audit, so that facts about a person can be erased and its chain stays whole.
 */
export const decisionFacts = pgTable(
  'decision_facts',
  {
    org: text().notNull(),
    project: text().notNull(),
    digest: text().notNull(),
    value: jsonb().notNull(),
    createdAt: created(),
    /** When a decision was last made on it, to within some hours: retention counts from there. */
    usedAt: used(),
  },
  (table) => [
    primaryKey({ columns: [table.org, table.project, table.digest] }),
    index('decision_facts_used').on(table.org, table.project, table.usedAt),
  ],
);

/** Transcripts, results and documents, encrypted; the digest is keyed, so a guess at a text cannot be confirmed. */
export const contents = pgTable(
  'contents',
  {
    org: text().notNull(),
    project: text().notNull(),
    digest: text().notNull(),
    sealed: bytea().notNull(),
    sizeBytes: integer('size_bytes').notNull(),
    label: text().notNull(),
    createdAt: created(),
    /** Of the org's key that sealed it (`org_keys`); null in rows from before orgs had keys. */
    keyId: text('key_id'),
    /** When it was last kept or needed, to within some hours: retention counts from there. */
    usedAt: used(),
  },
  (table) => [
    primaryKey({ columns: [table.org, table.project, table.digest] }),
    index('contents_key').on(table.keyId, table.org),
    index('contents_used').on(table.org, table.project, table.usedAt),
  ],
);
