import { z } from 'zod';
import { ObjectRefSchema } from './object-ref.ts';
import { SymptomSchema } from './observation.ts';

/** One field that is not as declared. `manager` is who wrote what is there now; empty where nobody says so. */
export const FieldDriftSchema = z.object({
  path: z.string(),
  desired: z.json().optional(),
  observed: z.json().optional(),
  manager: z.string(),
});
export type FieldDrift = z.infer<typeof FieldDriftSchema>;

/**
 * One difference between declared and observed, or one declared thing that is as declared and not well.
 * `added`: the pods of a workload have what nobody declared; its fields are named with items of lists by their name, where those of others are
 * pointers into what is seen. `fingerprint` is the same for the same fault at the same object however often it is seen; `faultKind` is the same for the same kind of
 * fault at any object (what learning counts).
 */
export const DriftSchema = z.object({
  kind: z.enum(['missing', 'changed', 'added', 'extra', 'unhealthy', 'deleting']),
  object: ObjectRefSchema,
  fields: z.array(FieldDriftSchema),
  symptoms: z.array(SymptomSchema),
  fingerprint: z.string(),
  faultKind: z.string(),
});
export type Drift = z.infer<typeof DriftSchema>;

/** A difference that is reported and not ours to mend: somebody else owns the field, it is held, or the object is not declared and cannot be read. */
export const ConflictSchema = z.object({
  object: ObjectRefSchema,
  path: z.string(),
  manager: z.string(),
  why: z.enum(['owned', 'held', 'autoscaled', 'unreadable']),
});
export type Conflict = z.infer<typeof ConflictSchema>;
