import { z } from 'zod';
import { FixReviewSchema } from './fix-review.ts';
import { PlanFaultSchema, PlanSchema, StepOutcomeSchema } from './plan.ts';
import { FixStateSchema } from './target-state.ts';

/** One attempt to mend one drift, as the history holds it; instants as ISO 8601. Open while `endedAt` is null: of one fault one is. */
export const FixSchema = z.object({
  org: z.string(),
  project: z.string(),
  target: z.string(),
  id: z.string(),
  fingerprint: z.string(),
  faultKind: z.string(),
  state: FixStateSchema,
  plan: PlanSchema.nullable(),
  planDigest: z.string(),
  normalDigest: z.string(),
  faults: z.array(PlanFaultSchema),
  review: FixReviewSchema.nullable(),
  evidenceDigest: z.string(),
  approvalId: z.string().nullable(),
  /** Who wrote what the plan was before people edited it, and who edited it: none of them approves it. */
  writers: z.array(z.string()),
  decisionId: z.string().nullable(),
  policyVersion: z.string().nullable(),
  costMicroUsd: z.number().int(),
  modelCalls: z.number().int(),
  /** Names in the content store what was seen of the fault when the plan was made, or last right before it was applied. */
  seenDigest: z.string(),
  /** What it ends as once its steps are undone; null while nothing is. */
  endsAs: FixStateSchema.nullable(),
  message: z.string(),
  beganAt: z.string(),
  endedAt: z.string().nullable(),
});
export type Fix = z.infer<typeof FixSchema>;

/** A step that was tried: `outcome` is null from before it is tried until what came of it is known. */
export const TriedStepSchema = z.object({
  fixId: z.string(),
  step: z.number().int(),
  direction: z.enum(['do', 'undo']),
  operationId: z.string(),
  fence: z.number().int(),
  outcome: StepOutcomeSchema.nullable(),
  beforeHash: z.string(),
  afterHash: z.string(),
  beganAt: z.string(),
  endedAt: z.string().nullable(),
});
export type TriedStep = z.infer<typeof TriedStepSchema>;

/** What people hold with their hands until `untilAt`: `object` an `objectKey` (empty for the whole target), `path` a JSON pointer (empty for all of it). */
export const TargetHoldSchema = z.object({
  id: z.string(),
  object: z.string(),
  path: z.string(),
  reason: z.string(),
  heldBy: z.string(),
  decisionId: z.string(),
  heldAt: z.string(),
  untilAt: z.string(),
});
export type TargetHold = z.infer<typeof TargetHoldSchema>;

export type { TargetPause } from './target-pause.ts';
