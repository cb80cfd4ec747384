import { z } from 'zod';
import { ObjectRefSchema } from './object-ref.ts';

/** `unknown` is never `missing`: of what cannot be read nothing is said, and nothing is done about it. */
export const HealthSchema = z.enum(['healthy', 'progressing', 'degraded', 'unknown']);
export type Health = z.infer<typeof HealthSchema>;

/**
 * Who says what a field is: a field manager of Kubernetes and the JSON pointers that it owns. `Apply` declares, `Update` wrote once;
 * by the subresource `scale` autoscalers write.
 */
export const FieldOwnerSchema = z.object({
  manager: z.string(),
  operation: z.enum(['Apply', 'Update']).optional(),
  subresource: z.string().optional(),
  paths: z.array(z.string()),
});
export type FieldOwner = z.infer<typeof FieldOwnerSchema>;

/**
 * A symptom in the field's own words, such as `ImagePullBackOff`, `CrashLoopBackOff`, `OOMKilled`, `NoEndpoints`, `Forbidden`,
 * `DefinitionChanged`: `code` is what rules match, `message` is text of the observed system and not to be trusted.
 */
export const SymptomSchema = z.object({ code: z.string().max(128), message: z.string().max(4096), count: z.number().int().default(1) });
export type Symptom = z.infer<typeof SymptomSchema>;

export const ObservedObjectSchema = z.object({
  ref: ObjectRefSchema,
  uid: z.string(),
  /** What a precondition names: Kubernetes' `resourceVersion`, or a hash of the state. */
  version: z.string(),
  /** SHA-256 (hex) of the state without what its system writes itself (status, managed fields, versions). */
  hash: z.string(),
  /** The state as JSON; of a secret only the names of its keys. */
  state: z.json(),
  health: HealthSchema,
  symptoms: z.array(SymptomSchema),
  owners: z.array(FieldOwnerSchema),
  /** Whether we made it, and so may delete it when it is declared no more. */
  isOurs: z.boolean(),
  /** When somebody asked for its deletion; empty where nobody did. */
  deletingSince: z.string(),
  /** Why its state is not here (then it is only its name): of such an object nothing is compared, and nothing is planned. Absent where it is. */
  unreadable: z.string().max(512).optional(),
});
export type ObservedObject = z.infer<typeof ObservedObjectSchema>;

/** What is there. `neighbours` are not declared, but show whether things are well: pods, events, who calls whom. */
export const ObservationSchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('read'),
    at: z.string(),
    objects: z.array(ObservedObjectSchema),
    neighbours: z.array(ObservedObjectSchema),
  }),
  z.object({
    status: z.literal('unknown'),
    at: z.string(),
    reason: z.enum(['unreachable', 'refused', 'throttled', 'incomplete']),
    message: z.string(),
  }),
]);
export type Observation = z.infer<typeof ObservationSchema>;
export type ReadObservation = Extract<Observation, { status: 'read' }>;

/** One declared thing: as it is to be, and in which wave it is applied. */
export const DesiredObjectSchema = z.object({
  ref: ObjectRefSchema,
  state: z.json(),
  wave: z.number().int(),
  /** What the system itself adds to the declaration whenever it is asked (pointers, items of lists by their name); null where it could not be asked. */
  admitted: z.array(z.string()).nullable().optional(),
});
export type DesiredObject = z.infer<typeof DesiredObjectSchema>;

/** What was declared; what cannot be read is not empty. `digest` is SHA-256 (hex) over all of it. */
export const DesiredSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('read'), objects: z.array(DesiredObjectSchema), digest: z.string() }),
  z.object({ status: z.literal('unreadable'), message: z.string() }),
]);
export type Desired = z.infer<typeof DesiredSchema>;
