import { z } from 'zod';
import { ProposableOperationSchema } from './operation.ts';

/** What a model answers, and nothing else: prose around it, unknown operations and unknown fields are refused. */
export const ProposalSchema = z.strictObject({
  diagnosis: z.string().min(1).max(4000),
  /** 0 to 1. May raise what is asked of people, never lower it. */
  confidence: z.number().min(0).max(1),
  operations: z.array(ProposableOperationSchema).min(1).max(8),
});
export type Proposal = z.infer<typeof ProposalSchema>;
/** Larger answers are refused unread. */
export const mostProposalBytes = 64 * 1024;
/** How often a model may mend an answer that was refused. */
export const mostRepairs = 2;

/** What has to hold when a step is applied, or it is not: the object as it was when the plan was made (`absent`: it was not there). */
export const PreconditionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('version'), version: z.string(), hash: z.string(), uid: z.string() }),
  z.strictObject({ kind: z.literal('absent') }),
  z.strictObject({ kind: z.literal('none') }),
]);
export type Precondition = z.infer<typeof PreconditionSchema>;

/** One operation as it is checked, shown, approved and applied: code adds all but the operation itself. */
export const PlanStepSchema = z.strictObject({
  operation: ProposableOperationSchema,
  precondition: PreconditionSchema,
  /**
   * Digest of the kept state that undoing goes back to; empty where there was none. `irreversible`: it cannot be undone. `forget`: it is agreed
   * by the fix itself, and ends with it. `nothing`: there is nothing to go back to.
   */
  undo: z.strictObject({ kind: z.enum(['restore', 'remove', 'undoAct', 'irreversible', 'forget', 'nothing']), stateDigest: z.string() }),
  /** Digest of what was declared of the object when the plan was made: a deviation from it is over when that changes. */
  declaredDigest: z.string().optional(),
  /** What is to be seen afterwards, for people: one sentence, rendered by code. */
  expected: z.string().max(1000),
  deadlineSeconds: z.number().int().min(1).max(3600),
});
export type PlanStep = z.infer<typeof PlanStepSchema>;

/** Where a plan comes from; of a model also how sure it was. */
export const PlanSourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('rule'), rule: z.string() }),
  z.strictObject({ kind: z.literal('model'), role: z.string(), model: z.string(), confidence: z.number(), diagnosis: z.string() }),
  z.strictObject({ kind: z.literal('person'), person: z.string() }),
]);
export type PlanSource = z.infer<typeof PlanSourceSchema>;

/** A plan for one drift of one target. Its digest (SHA-256 of its canonical JSON) is what policy decides about and people approve. */
export const PlanSchema = z.strictObject({
  org: z.string(),
  project: z.string(),
  target: z.string(),
  /** Generation of the target that it was made for. */
  generation: z.number().int(),
  fingerprint: z.string(),
  faultKind: z.string(),
  evidenceDigest: z.string(),
  source: PlanSourceSchema,
  steps: z.array(PlanStepSchema).min(1).max(8),
});
export type Plan = z.infer<typeof PlanSchema>;

/** How far a plan reaches, counted by code. `score`: 0 changes nothing, 1 one object of many that can be undone, and so on up to 5. */
export const BlastRadiusSchema = z.object({
  objects: z.number().int(),
  percent: z.number(),
  namespaces: z.array(z.string()),
  kinds: z.array(z.string()),
  isReversible: z.boolean(),
  score: z.number().int().min(0).max(5),
});
export type BlastRadius = z.infer<typeof BlastRadiusSchema>;

/** Why a plan is not allowed: a stable code, for which step (counted from 0), and a sentence for people. */
export const PlanFaultSchema = z.object({ code: z.string(), step: z.number().int().nullable(), message: z.string() });
export type PlanFault = z.infer<typeof PlanFaultSchema>;

/** What applying would do, asked of the system itself, step by step. */
export const DryRunSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), diff: z.array(z.object({ path: z.string(), before: z.json().optional(), after: z.json().optional() })) }),
  z.object({ ok: z.literal(false), reason: z.enum(['refused', 'invalid', 'conflict', 'unreachable', 'changed']), message: z.string() }),
]);
export type DryRun = z.infer<typeof DryRunSchema>;

/** Fields that somebody writes anew at each write (a mutating webhook), seen at our own, and SHA-256 (hex) of the state without them. */
export const RewrittenSchema = z.object({ paths: z.array(z.string()).min(1), hash: z.string() });
export type Rewritten = z.infer<typeof RewrittenSchema>;

/** What became of one step. `unknown`: it may have had an effect, and is looked at before anything else. */
export const StepOutcomeSchema = z.discriminatedUnion('kind', [
  z.object({
    ...{ kind: z.literal('applied'), version: z.string(), hash: z.string(), uid: z.string(), at: z.string() },
    rewritten: RewrittenSchema.optional(),
  }),
  z.object({ kind: z.literal('unchanged'), at: z.string() }),
  z.object({
    kind: z.literal('failed'),
    reason: z.enum(['precondition', 'refused', 'invalid', 'conflict', 'fenced']),
    message: z.string(),
  }),
  z.object({ kind: z.literal('unknown'), message: z.string() }),
]);
export type StepOutcome = z.infer<typeof StepOutcomeSchema>;
