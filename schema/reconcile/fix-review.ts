import { z } from 'zod';
import { DriftSchema } from './drift.ts';
import { BlastRadiusSchema, DryRunSchema } from './plan.ts';

/**
 * What people look at beside the plan itself before they approve it: which drift it is for, why no rule mends it, how far it reaches, and what
 * the system itself said it would do (`dryRuns`, one a step). Rendered by code; nothing of it is a model's but what the plan's source says.
 */
export const FixReviewSchema = z.object({
  drift: DriftSchema,
  why: z.string(),
  blast: BlastRadiusSchema,
  dryRuns: z.array(DryRunSchema),
});
export type FixReview = z.infer<typeof FixReviewSchema>;
