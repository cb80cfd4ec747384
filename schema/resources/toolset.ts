import { z } from 'zod';
import { NameSchema, ToolNameSchema } from '../ids.ts';

/**
 * A virtual server: which tools of which servers stand behind one endpoint.
 * `prefix` names a tool `server__tool`, `plain` keeps the server's own name; two equal plain names fail the toolset,
 * or the server listed first wins (`priority`).
 */
export const ToolsetSpecSchema = z.strictObject({
  servers: z
    .array(z.strictObject({ name: NameSchema, tools: z.array(ToolNameSchema).min(1).optional() }))
    .min(1)
    .max(64),
  naming: z.enum(['prefix', 'plain']).default('prefix'),
  conflicts: z.enum(['fail', 'priority']).default('fail'),
});
export type ToolsetSpec = z.infer<typeof ToolsetSpecSchema>;
