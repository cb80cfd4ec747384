import { sql } from 'drizzle-orm';
import { bigint, boolean, index, integer, jsonb, pgSequence, pgTable, primaryKey, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core';
import type { Conflict, Drift } from '../reconcile/drift.ts';
import type { FixReview } from '../reconcile/fix-review.ts';
import type { Plan, PlanFault, StepOutcome } from '../reconcile/plan.ts';
import type { FixState, TargetPhase } from '../reconcile/target-state.ts';

const instant = (name: string) => timestamp(name, { withTimezone: true });
const openFix = sql`ended_at is null`;
const place = { org: text().notNull(), project: text().notNull(), target: text().notNull() };

/**
 * Fences of all targets: none is given twice, so that whoever held one of a target that was forgotten and declared anew holds none. It begins
 * above those that were counted by target.
 */
export const reconcileFences = pgSequence('reconcile_fences', { startWith: 1_000_000_000 });

/**
 * Where each target is. `fence` grows with each workflow that takes the target: whoever holds a lower one writes nothing any more. Steady
 * state writes no row here.
 */
export const reconcileTargets = pgTable(
  'reconcile_targets',
  {
    ...place,
    generation: integer().notNull(),
    phase: text().$type<TargetPhase>().notNull(),
    message: text().notNull().default(''),
    drifts: jsonb().$type<Drift[]>().notNull().default([]),
    conflicts: jsonb().$type<Conflict[]>().notNull().default([]),
    fence: bigint({ mode: 'number' }).notNull().default(0),
    /** Frozen by an undo that failed, until a person lifts it. */
    frozen: boolean().notNull().default(false),
    /** When there is something to do though nothing changes: a cooldown, a hold or a window that ends. */
    dueAt: instant('due_at'),
    changedAt: instant('changed_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.target] }), index('reconcile_targets_due').on(table.dueAt)],
);

/** Fields or objects that people hold with their hands: seen and reported, and left alone until `untilAt`. */
export const reconcileHolds = pgTable(
  'reconcile_holds',
  {
    ...place,
    id: text().notNull(),
    /** `objectKey` of the object; empty for the whole target. */
    object: text().notNull().default(''),
    path: text().notNull().default(''),
    reason: text().notNull(),
    heldBy: text('held_by').notNull(),
    decisionId: text('decision_id').notNull(),
    heldAt: instant('held_at').notNull().defaultNow(),
    untilAt: instant('until_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.target, table.id] })],
);

/**
 * Targets that people have paused, beside those that are declared so: seen and reported, and not changed. A row of its own, so that it
 * outlives the next `apply`. `target` is empty where all of the project is.
 */
export const reconcilePauses = pgTable(
  'reconcile_pauses',
  {
    ...place,
    reason: text().notNull(),
    pausedBy: text('paused_by').notNull(),
    decisionId: text('decision_id').notNull(),
    pausedAt: instant('paused_at').notNull().defaultNow(),
    /** Empty: until somebody lifts it. */
    untilAt: instant('until_at'),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.target] })],
);

/** Each attempt to mend one drift, by a rule or a plan: the history, what learning counts, and what an apply is fenced and resumed by. */
export const reconcileFixes = pgTable(
  'reconcile_fixes',
  {
    ...place,
    id: text().primaryKey(),
    fingerprint: text().notNull(),
    faultKind: text('fault_kind').notNull(),
    state: text().$type<FixState>().notNull(),
    plan: jsonb().$type<Plan>(),
    planDigest: text('plan_digest').notNull().default(''),
    /** The operations without the names of what they were made for: what is the same fix elsewhere. */
    normalDigest: text('normal_digest').notNull().default(''),
    faults: jsonb().$type<PlanFault[]>().notNull().default([]),
    /** What people are shown beside the plan; empty where nobody was asked. */
    review: jsonb().$type<FixReview>(),
    evidenceDigest: text('evidence_digest').notNull().default(''),
    approvalId: text('approval_id'),
    /** Who wrote what the plan was before people edited it, and who edited it. */
    writers: text().array().notNull().default([]),
    decisionId: text('decision_id'),
    policyVersion: text('policy_version'),
    costMicroUsd: bigint('cost_micro_usd', { mode: 'number' }).notNull().default(0),
    modelCalls: integer('model_calls').notNull().default(0),
    /** In the content store: the drift, and what was seen when the plan was made, or last right before it is applied. */
    seenDigest: text('seen_digest').notNull().default(''),
    /** What it ends as once its steps are undone. */
    endsAs: text('ends_as').$type<FixState>(),
    message: text().notNull().default(''),
    beganAt: instant('began_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (table) => [
    // of one fault of one target only one attempt is open: fifty events and three controllers make one
    uniqueIndex('reconcile_fixes_open').on(table.org, table.project, table.target, table.fingerprint).where(openFix),
    index('reconcile_fixes_history').on(table.org, table.project, table.target, table.beganAt),
    index('reconcile_fixes_learning').on(table.org, table.project, table.faultKind, table.normalDigest),
  ],
);

/** What became of each step of a fix, and of each undoing (`direction`): written before it is tried (`outcome` null) and after. */
export const reconcileSteps = pgTable(
  'reconcile_steps',
  {
    fixId: text('fix_id').notNull(),
    step: integer().notNull(),
    direction: text().$type<'do' | 'undo'>().notNull(),
    operationId: text('operation_id').notNull(),
    fence: bigint({ mode: 'number' }).notNull(),
    outcome: jsonb().$type<StepOutcome>(),
    beforeHash: text('before_hash').notNull(),
    afterHash: text('after_hash').notNull().default(''),
    beganAt: instant('began_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (table) => [primaryKey({ columns: [table.fixId, table.direction, table.step] })],
);

/**
 * What diagnoses were charged, in micro-dollars, worst case of the call under way included. `scope` is `fix/ID` for one escalation, whose
 * charges all count for the `day` (UTC) that it began on, and `day/YYYY-MM-DD` for all escalations of a target that began on that day; with an empty
 * target, of all targets of the project.
 */
export const reconcileBudgets = pgTable(
  'reconcile_budgets',
  {
    ...place,
    scope: text().notNull(),
    day: text().notNull(),
    chargedMicroUsd: bigint('charged_micro_usd', { mode: 'number' }).notNull().default(0),
  },
  (table) => [primaryKey({ columns: [table.org, table.project, table.target, table.scope] })],
);
