import { z } from 'zod';
import { mostRates, ProjectRateSchema } from './rate.ts';

/** A tenant's place. A frozen project lists, but nothing is called and no run starts. Its `metadata.project` is its own name. */
export const ProjectSpecSchema = z.strictObject({
  description: z.string().max(500).optional(),
  environment: z.enum(['development', 'staging', 'production']).default('development'),
  frozen: z.boolean().default(false),
  rates: z.array(ProjectRateSchema).max(mostRates).optional(),
});
export type ProjectSpec = z.infer<typeof ProjectSpecSchema>;
