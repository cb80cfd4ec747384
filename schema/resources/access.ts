import { z } from 'zod';
import { NameSchema } from '../ids.ts';
import { GoldenDecisionSchema } from './golden.ts';
import { PolicyHookSchema } from './policy-hook.ts';
import { RegoPolicySchema } from './rego.ts';

export const SubjectSchema = z.union([
  z.strictObject({ group: NameSchema }),
  z.strictObject({ person: NameSchema }),
  z.strictObject({ agentRole: NameSchema }),
]);
export type Subject = z.infer<typeof SubjectSchema>;

/** Which groups, people and agent roles may use what; compiles to template-linked Cedar permits. */
export const AccessBindingSpecSchema = z.strictObject({
  subjects: z.array(SubjectSchema).min(1).max(256),
  toolsets: z.array(NameSchema).default([]),
  models: z.array(NameSchema).default([]),
  agentRoles: z.array(NameSchema).default([]),
  fleets: z.array(NameSchema).default([]),
});
export type AccessBindingSpec = z.infer<typeof AccessBindingSpecSchema>;

/** Cedar text of a project; it is validated strictly against the schema and cannot remove a guard of the platform. */
export const PolicySetSpecSchema = z.strictObject({
  description: z.string().max(1000).optional(),
  cedar: z.string().min(1).max(262_144),
  /** Decisions that hold with these policies beside all others of the project; asked before they are published. */
  golden: z
    .array(GoldenDecisionSchema)
    .max(1000)
    .refine((cases) => new Set(cases.map(({ name }) => name)).size === cases.length, 'another name for each decision')
    .optional(),
  /** Services of one's own that are asked about calls that are allowed. */
  hooks: z
    .array(PolicyHookSchema)
    .max(16)
    .refine((hooks) => new Set(hooks.map(({ name }) => name)).size === hooks.length, 'another name for each hook')
    .optional(),
  /** Asked about documents that are allowed; published only, because it is compiled and signed then. */
  rego: RegoPolicySchema.optional(),
});
export type PolicySetSpec = z.infer<typeof PolicySetSpecSchema>;
