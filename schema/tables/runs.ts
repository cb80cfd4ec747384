import { sql } from 'drizzle-orm';
import { bigint, index, integer, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import type { AgentLimits } from '../resources/agent-role.ts';
import type { RunVolume } from '../run.ts';

const created = () => timestamp('created_at', { withTimezone: true }).notNull().defaultNow();

export const runs = pgTable(
  'runs',
  {
    org: text().notNull(),
    project: text().notNull(),
    id: text().notNull(),
    fleet: text().notNull(),
    /** The fleet and its roles as they were at the start: a later `apply` does not change a run. */
    snapshot: jsonb().notNull(),
    inputsDigest: text('inputs_digest').notNull(),
    volumes: jsonb().$type<RunVolume[]>().notNull(),
    outputDirectory: text('output_directory'),
    result: text(),
    quality: text().notNull(),
    startedBy: text('started_by').notNull(),
    launchDecisionId: text('launch_decision_id').notNull(),
    state: text().notNull(),
    reason: text(),
    /** Counts the starts: 1, and one more for each resume. */
    attempt: integer().notNull().default(1),
    createdAt: created(),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
    endedAt: timestamp('ended_at', { withTimezone: true }),
    /** Since when no token of the run is believed, whatever its state; it is never taken back. */
    revokedAt: timestamp('revoked_at', { withTimezone: true }),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.id] })],
);

export const agents = pgTable('agents', {
  /** `org/project/fleet/run/stage/role/ordinal`, the workflow id too. */
  id: text().primaryKey(),
  org: text().notNull(),
  project: text().notNull(),
  runId: text('run_id').notNull(),
  stage: text().notNull(),
  role: text().notNull(),
  ordinal: integer().notNull(),
  state: text().notNull(),
  reason: text(),
  detail: text(),
  inputDigest: text('input_digest').notNull(),
  /** Paths among the agent's own input: what a policy may hold it to. */
  assignedPaths: text('assigned_paths').array().notNull().default([]),
  transcriptDigest: text('transcript_digest'),
  outputDigest: text('output_digest'),
  limits: jsonb().$type<AgentLimits>().notNull(),
  steps: integer().notNull().default(0),
  calls: integer().notNull().default(0),
  refusals: integer().notNull().default(0),
  /** Tokens reserved and settled together: never above the limit, never below zero. */
  tokens: bigint({ mode: 'number' }).notNull().default(0),
  inputTokens: bigint('input_tokens', { mode: 'number' }).notNull().default(0),
  outputTokens: bigint('output_tokens', { mode: 'number' }).notNull().default(0),
  costMicroUsd: bigint('cost_micro_usd', { mode: 'number' }).notNull().default(0),
  deadlineAt: timestamp('deadline_at', { withTimezone: true }),
  /** The approval that the agent waits for (null where it waits until what is halted is lifted), and since when: the time of its role does not run meanwhile. */
  approvalId: text('approval_id'),
  waitingSince: timestamp('waiting_since', { withTimezone: true }),
  createdAt: created(),
  updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  endedAt: timestamp('ended_at', { withTimezone: true }),
});

/** What was set aside for one call of an agent. A retried call finds its own reservation. */
export const reservations = pgTable(
  'reservations',
  {
    agentId: text('agent_id').notNull(),
    operationId: text('operation_id').notNull(),
    kind: text().notNull(),
    tokens: bigint({ mode: 'number' }).notNull(),
    /** Of what is called with which arguments: an id that comes back for another call is refused. */
    callDigest: text('call_digest').notNull().default(''),
    tries: integer().notNull().default(1),
    settledAt: timestamp('settled_at', { withTimezone: true }),
    createdAt: created(),
  },
  (table) => [
    primaryKey({ columns: [table.agentId, table.operationId] }),
    index('reservations_open').on(table.agentId).where(sql`settled_at is null`),
  ],
);
