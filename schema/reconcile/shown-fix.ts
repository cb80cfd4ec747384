import { z } from 'zod';
import { BlastRadiusSchema } from './plan.ts';

/** One step as people see it before they approve it: written by code, and every character to be seen. */
export const ShownStepSchema = z.object({
  /** Exactly what would be done. */
  operation: z.string(),
  expected: z.string(),
  /** What undoes it. */
  undo: z.string(),
  /** What the system itself said it would change, or why it would not. */
  dryRun: z.array(z.string()),
});

/** A fix that waits for people, with all that they need to answer. What a model said is in `diagnosis` alone. */
export const ShownFixSchema = z.object({
  fixId: z.string(),
  target: z.string(),
  fault: z.string(),
  /** Since when the fault is there as far as is known: it may have been taken up before. ISO 8601. */
  sinceAt: z.string(),
  /** What became of it, once it has ended: its state, and why. */
  became: z.string().nullable(),
  why: z.string(),
  proposedBy: z.string(),
  /** The model's own words; empty where a rule or a person proposed it. */
  diagnosis: z.string(),
  /** 0 to 1; null where no model proposed it. */
  confidence: z.number().nullable(),
  steps: z.array(ShownStepSchema),
  blast: BlastRadiusSchema.nullable(),
  evidenceDigest: z.string(),
  contact: z.string().nullable(),
});
export type ShownFix = z.infer<typeof ShownFixSchema>;
