import { z } from 'zod';
import { DriftSchema } from '../reconcile/drift.ts';
import { ProposableOperationSchema } from '../reconcile/operation.ts';

/**
 * What an operation of a rule is filled with: `object` of a rule's operation may be `{"$drift": "object"}`, and any value in it
 * `{"$drift": "/pointer"}`, which stands for what is found there in the drift.
 */
export const RuleOperationSchema = z.looseObject({ op: z.string().min(1).max(64) });

/**
 * One case that a rule is held against before it goes live: a drift, the seen state of its object, and exactly what the rule has to do about
 * it (nothing where it must not fit). Drafts bring the cases of the fixes that they come from.
 */
export const RuleTestSchema = z.strictObject({
  name: z.string().min(1).max(200),
  drift: DriftSchema,
  object: z.json().default({}),
  operations: z.array(ProposableOperationSchema).max(8),
});
export type RuleTest = z.infer<typeof RuleTestSchema>;

/**
 * A deterministic rule: what it matches, what it does about it, how often, and how one knows that it worked. Written by people, or drafted
 * from fixes that people approved again and again; a draft does nothing.
 */
export const ReconcileRuleSpecSchema = z.strictObject({
  description: z.string().max(500).optional(),
  state: z.enum(['live', 'draft', 'demoted']).default('live'),
  /** CEL (cel.dev) over `drift`, `target` and `object`; true where the rule fits. Any error is false. */
  match: z.string().min(1).max(4096),
  operations: z.array(RuleOperationSchema).min(1).max(8),
  /** So often for one fault within `withinSeconds`; then it is escalated. */
  cap: z
    .strictObject({ times: z.number().int().min(1).max(20).default(2), withinSeconds: z.number().int().min(1).max(604_800).default(3600) })
    .prefault({}),
  /** Targets that it may work on, by name; without it all of the project. */
  targets: z.array(z.string().max(63)).max(256).optional(),
  /** Where it was drafted from: the fixes that people approved, and which operations they had in common (a digest). */
  origin: z.strictObject({ faultKind: z.string(), normalDigest: z.string(), fixes: z.array(z.string()).max(64) }).optional(),
  tests: z.array(RuleTestSchema).max(64).default([]),
  /** Why it is demoted: the fix whose effect did not show, or what a person said. */
  demotedBy: z.string().max(500).optional(),
});
export type ReconcileRuleSpec = z.infer<typeof ReconcileRuleSpecSchema>;
