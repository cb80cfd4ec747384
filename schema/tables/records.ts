import {
  bigint,
  bigserial,
  customType,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';

const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' });
const created = () => timestamp('created_at', { withTimezone: true }).notNull().defaultNow();

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

/** Rows are only ever added. */
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
    /** What was decided, and where that which it was decided on stands in `decision_facts`; see `DecisionBasis`. */
    basis: text(),
  },
  (table) => [
    index('audit_events_decision').on(table.org, table.project, table.decisionId),
    index('audit_events_run').on(table.org, table.project, table.run),
    index('audit_events_at').on(table.org, table.project, table.at),
  ],
);

/**
 * What decisions were made on: principals, resources and projects as policies saw them, and the policies. Each is written once, under the
 * digest by which rows of the audit refer to it. Apart from the audit, so that facts about a person can be erased and its chain stays whole.
 */
export const decisionFacts = pgTable(
  'decision_facts',
  { org: text().notNull(), project: text().notNull(), digest: text().notNull(), value: jsonb().notNull(), createdAt: created() },
  (table) => [primaryKey({ columns: [table.org, table.project, table.digest] })],
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
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.digest] })],
);
