import { z } from 'zod';
import { NameSchema } from '../ids.ts';

export const apiVersion = 'quarterdeck.dev/v1alpha1';

/** Names a resource; org and project are both `default` unless given. */
export const MetadataSchema = z.strictObject({
  name: NameSchema,
  org: NameSchema.default('default'),
  project: NameSchema.default('default'),
  labels: z.record(z.string().max(63), z.string().max(256)).default({}),
  annotations: z.record(z.string().max(253), z.string().max(4096)).default({}),
});
export type Metadata = z.infer<typeof MetadataSchema>;

export const ConditionSchema = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.string(),
  observedGeneration: z.number().int(),
});
export type Condition = z.infer<typeof ConditionSchema>;

export const StatusSchema = z.object({
  observedGeneration: z.number().int().default(0),
  conditions: z.array(ConditionSchema).default([]),
});
export type Status = z.infer<typeof StatusSchema>;

/** A value kept elsewhere: an environment variable of the gateway's process, or a file. Never the value itself. */
export const SecretReferenceSchema = z.union([
  z.strictObject({ env: z.string().regex(/^[A-Z_][A-Z0-9_]*$/, 'the name of an environment variable') }),
  z.strictObject({ file: z.string().startsWith('/', 'an absolute path of a file') }),
]);
export type SecretReference = z.infer<typeof SecretReferenceSchema>;
