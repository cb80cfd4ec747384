import { sql } from 'drizzle-orm';
import { customType, index, jsonb, pgTable, primaryKey, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core';
import type { ApprovalKind, ApprovalRule, ApprovalState, Verdict } from '../approval.ts';

const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' });
const instant = (name: string) => timestamp(name, { withTimezone: true });

/** What waits for people, or waited: calls, and changes that take more than one person. The truth of an approval: every change is one conditional update here. */
export const approvals = pgTable(
  'approvals',
  {
    id: text().primaryKey(),
    org: text().notNull(),
    project: text().notNull(),
    kind: text().$type<ApprovalKind>().notNull().default('call'),
    /** Of a change what it is about, for people; empty of a call. */
    subject: text().notNull().default(''),
    state: text().$type<ApprovalState>().notNull().default('pending'),
    principal: text().notNull(),
    person: text().notNull(),
    agent: text(),
    role: text(),
    fleet: text(),
    run: text(),
    toolset: text().notNull(),
    server: text().notNull(),
    tool: text().notNull(),
    definitionHash: text('definition_hash').notNull(),
    argumentsDigest: text('arguments_digest').notNull(),
    digest: text().notNull(),
    operationId: text('operation_id').notNull(),
    /** The bytes that the digest is of, sealed with a key that gateway and api share. */
    call: bytea().notNull(),
    rules: jsonb().$type<ApprovalRule[]>().notNull(),
    reason: text().notNull(),
    decisionId: text('decision_id').notNull(),
    /** The operation that the approval was used up by. */
    consumedBy: text('consumed_by'),
    requestedAt: instant('requested_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull(),
    decidedAt: instant('decided_at'),
    consumedAt: instant('consumed_at'),
    /** When the waiting workflow was told; null until Temporal took it. */
    toldAt: instant('told_at'),
  },
  (table) => [
    // a retry finds the approval of its operation, whatever became of it
    uniqueIndex('approvals_named_call')
      .on(table.org, table.project, table.principal, table.operationId, table.digest)
      .where(sql`operation_id <> ''`),
    // a call without an id has one open approval at a time
    uniqueIndex('approvals_open_call')
      .on(table.org, table.project, table.principal, table.digest)
      .where(sql`operation_id = '' and state in ('pending', 'approved')`),
    index('approvals_place').on(table.org, table.project, table.requestedAt),
    index('approvals_open').on(table.expiresAt).where(sql`state in ('pending', 'approved')`),
    index('approvals_untold').on(table.decidedAt).where(sql`told_at is null and agent is not null and decided_at is not null`),
  ],
);

/** What people answered, one answer a person. */
export const approvalDecisions = pgTable(
  'approval_decisions',
  {
    approvalId: text('approval_id').notNull(),
    person: text().notNull(),
    verdict: text().$type<Verdict>().notNull(),
    /** Policies whose rule counts this person. */
    policies: text().array().notNull(),
    stamp: text().notNull(),
    comment: text(),
    decisionId: text('decision_id').notNull(),
    at: instant('at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.approvalId, table.person] })],
);
