import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';
import { bytea } from './bytea.ts';

/**
 * Rows are only ever added. The last five columns say where a row stands in its chain: who wrote it (`writer`, a process), in which
 * unbroken chain of that writer (`epoch`), with which commit (`link`), as which row of that commit (`position`, from 1), and the SHA-256
 * of everything else it says (`digest`). They are empty in rows from before there were chains.
 */
export const auditEvents = pgTable(
  'audit_events',
  {
    sequence: bigserial({ mode: 'number' }).primaryKey(),
    at: timestamp({ withTimezone: true }).notNull().defaultNow(),
    kind: text().notNull(),
    org: text().notNull(),
    project: text().notNull(),
    action: text().notNull(),
    decision: text().notNull(),
    decisionId: text('decision_id').notNull(),
    policies: text().array().notNull().default([]),
    /** A pseudonym, see `auditPeople`. */
    person: text(),
    agent: text(),
    role: text(),
    fleet: text(),
    run: text(),
    toolset: text(),
    server: text(),
    tool: text(),
    model: text(),
    resource: text(),
    operationId: text('operation_id'),
    outcome: text().notNull(),
    errorCode: text('error_code'),
    durationMs: doublePrecision('duration_ms'),
    inputTokens: bigint('input_tokens', { mode: 'number' }),
    outputTokens: bigint('output_tokens', { mode: 'number' }),
    costMicroUsd: bigint('cost_micro_usd', { mode: 'number' }),
    facts: jsonb().notNull().default({}),
    stamp: text(),
    argumentsDigest: text('arguments_digest'),
    policyVersion: text('policy_version'),
    traceId: text('trace_id'),
    /** What was decided, and where that which it was decided on stands in `decision_facts`; see `DecisionBasis`. */
    basis: text(),
    writer: text(),
    epoch: integer(),
    link: integer(),
    position: integer(),
    digest: bytea(),
  },
  (table) => [
    index('audit_events_decision').on(table.org, table.project, table.decisionId),
    index('audit_events_run').on(table.org, table.project, table.run),
    index('audit_events_at').on(table.org, table.project, table.at),
    // which policies were ever published: read with every view of what is declared
    index('audit_events_published').on(table.org, table.project).where(sql`action = 'applyResource' and facts->>'change' = 'published'`),
  ],
);

/**
 * One row for each commit of audit rows: `hash` is the SHA-256 of `previous` (the hash of the link before) and the digests of the rows,
 * in their order. The last link of an epoch that ended in order has `closes` and no rows.
 */
export const auditLinks = pgTable(
  'audit_links',
  {
    writer: text().notNull(),
    epoch: integer().notNull(),
    number: integer().notNull(),
    rows: integer().notNull(),
    previous: bytea().notNull(),
    hash: bytea().notNull(),
    closes: boolean().notNull().default(false),
    at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.writer, table.epoch, table.number] }), index('audit_links_at').using('brin', table.at)],
);

/**
 * How far each chain had come at a moment, signed with a key that the database does not hold. `statement` is the signed text itself; the
 * same lines stand in a file outside.
 */
export const auditCheckpoints = pgTable(
  'audit_checkpoints',
  {
    number: bigint({ mode: 'number' }).primaryKey(),
    writer: text().notNull(),
    epoch: integer().notNull(),
    link: integer().notNull(),
    statement: text().notNull(),
    signature: text().notNull(),
    at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [index('audit_checkpoints_chain').on(table.writer, table.epoch, table.link)],
);

/**
 * Who stands behind a pseudonym. `sealed` holds the person's id and the key that the pseudonym is made with; `digest` is a keyed one of
 * the id. Without this row nobody can say any more whose rows those are.
 */
export const auditPeople = pgTable(
  'audit_people',
  {
    org: text().notNull(),
    digest: text().notNull(),
    pseudonym: text().notNull().unique(),
    sealed: bytea().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.digest] })],
);
