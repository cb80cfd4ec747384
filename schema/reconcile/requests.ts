import { z } from 'zod';
import { NameSchema } from '../ids.ts';
import { RateHoldKindSchema } from '../rate-hold.ts';
import { FixSchema, TargetHoldSchema, TriedStepSchema } from './fix.ts';
import { ObjectRefSchema } from './object-ref.ts';
import { TargetStatusSchema } from './target-state.ts';

/** A reason is for whoever looks at three in the morning: it is never empty. */
const reason = z.string().trim().min(1, 'why, for those who find it').max(500);
const longestSeconds = 30 * 86_400;
const seconds = z.number().int().min(1).max(longestSeconds);

/** Holds an object or a field of a target with the hands, for a time: `object` of a kind, `path` a JSON pointer; without both the whole target. */
export const HoldRequestSchema = z.strictObject({
  object: ObjectRefSchema.partial({ apiVersion: true }).optional(),
  path: z
    .string()
    .max(1024)
    .regex(/^(\/([^~/]|~[01])*)+$/, 'a JSON pointer (RFC 6901) such as `/spec/replicas`')
    .optional(),
  seconds,
  reason,
});
export type HoldRequest = z.infer<typeof HoldRequestSchema>;
/** Without an id all holds of the target. */
export const ReleaseRequestSchema = z.strictObject({ id: z.string().max(64).optional(), reason: z.string().max(500).default('') });

/** Lets go of what is held to fewer calls than declared. */
export const LiftLimitRequestSchema = z.strictObject({ kind: RateHoldKindSchema, name: z.string().min(1).max(512), reason });

/** Without a target all of the project; without `seconds` until somebody resumes it. */
export const PauseRequestSchema = z.strictObject({ target: NameSchema.optional(), seconds: seconds.optional(), reason });
export const ResumeRequestSchema = z.strictObject({ target: NameSchema.optional(), reason: z.string().max(500).default('') });
/** Lifts what froze a target. */
export const ThawRequestSchema = z.strictObject({ reason });

/** One target with all that says why it is where it is. */
export const TargetDetailSchema = TargetStatusSchema.extend({
  holds: z.array(TargetHoldSchema),
  /** Whether its workflow runs at this moment; null where Temporal does not say. */
  isReconciling: z.boolean().nullable(),
});
export type TargetDetail = z.infer<typeof TargetDetailSchema>;

/** A fix of the history with its steps. */
export const PastFixDetailSchema = FixSchema.extend({ steps: z.array(TriedStepSchema) });
export type PastFixDetail = z.infer<typeof PastFixDetailSchema>;

/** What a diagnosis was made of, and the agent that read on: its run, and its id within that; null where none came so far. */
export const FixEvidenceSchema = z.object({
  digest: z.string(),
  evidence: z.string(),
  agent: z.object({ run: z.string(), id: z.string() }).nullable(),
});
export type FixEvidence = z.infer<typeof FixEvidenceSchema>;

/** Why a target is where it is, in sentences that code wrote, with what they are of. */
export const TargetExplanationSchema = TargetDetailSchema.extend({
  lookedAt: z.string(),
  /** Each a plain sentence; the first says where it is, the last what comes next. */
  sentences: z.array(z.string()),
});
export type TargetExplanation = z.infer<typeof TargetExplanationSchema>;
