import { z } from 'zod';
import { NameSchema } from './ids.ts';

/** Whose calls of tools can be held to less than declared: those of one agent, or all of one server. */
export const RateHoldKindSchema = z.enum(['Agent', 'McpServer']);
export type RateHoldKind = z.infer<typeof RateHoldKindSchema>;

/** One caller or server that is held to so many calls of tools a minute. `operationId` names the fix that did so. */
export const RateHoldSchema = z.object({
  org: NameSchema,
  project: NameSchema,
  kind: RateHoldKindSchema,
  name: z.string().min(1).max(512),
  callsPerMinute: z.number().int().min(1),
  operationId: z.string(),
  heldAt: z.string(),
});
export type RateHold = z.infer<typeof RateHoldSchema>;
export type RateHoldKey = Pick<RateHold, 'org' | 'project' | 'kind' | 'name'>;
