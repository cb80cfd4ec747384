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

const vaultPath = z
  .string()
  .max(512)
  .regex(/^[A-Za-z0-9_.@=+-]+(\/[A-Za-z0-9_.@=+-]+)+$/, 'a path without a leading slash, its mount first, such as `secret/acme/lab/openai`')
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), 'a path without `.` and `..`');
const secretKey = z.string().regex(/^[A-Za-z0-9._-]{1,253}$/, 'letters, digits, `.`, `_` and `-`');

/**
 * A value kept elsewhere, never the value itself: an environment variable or a file of the machine; one key of a Kubernetes Secret that is
 * labelled for the tenant; one field of what HashiCorp Vault's API answers, kept (`kv`, version 2) or made for us and leased (`dynamic`);
 * or an entry of the keychain of whoever runs the platform.
 */
export const SecretReferenceSchema = z.union([
  z.strictObject({ env: z.string().regex(/^[A-Z_][A-Z0-9_]*$/, 'the name of an environment variable') }),
  z.strictObject({ file: z.string().startsWith('/', 'an absolute path of a file') }),
  z.strictObject({ kubernetes: z.strictObject({ secret: secretKey, key: secretKey, namespace: NameSchema.optional() }) }),
  z.strictObject({
    vault: z.strictObject({ path: vaultPath, field: z.string().min(1).max(256), engine: z.enum(['kv', 'dynamic']).default('kv') }),
  }),
  z.strictObject({ keychain: NameSchema }),
]);
export type SecretReference = z.infer<typeof SecretReferenceSchema>;
