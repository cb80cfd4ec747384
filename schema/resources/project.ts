import { z } from 'zod';

/** A tenant's place. A frozen project lists, but nothing is called and no run starts. Its `metadata.project` is its own name. */
export const ProjectSpecSchema = z.strictObject({
  description: z.string().max(500).optional(),
  environment: z.enum(['development', 'staging', 'production']).default('development'),
  frozen: z.boolean().default(false),
});
export type ProjectSpec = z.infer<typeof ProjectSpecSchema>;
