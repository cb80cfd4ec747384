import { z } from 'zod';
import { LoginLevelSchema } from '../approval.ts';
import { RetentionSpecSchema } from '../retention.ts';
import { mostRates, ProjectRateSchema } from './rate.ts';

const approver = z
  .string()
  .regex(/^(role|group|person):[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, '`role:NAME`, `group:NAME` or `person:NAME`, such as `role:reviewer`');

/** Who has to approve a change of one kind beside its proposer: `count` different people of `approvers`, within the time, after a login of level `acr`. */
export const ChangeApprovalSchema = z.strictObject({
  approvers: z.array(approver).min(1).max(16).default(['role:administrator', 'role:reviewer']),
  count: z.number().int().min(1).max(10).default(1),
  expiresInSeconds: z.number().int().min(60).max(2_592_000).default(86_400),
  /** What the login of whoever approves has to be at least: 2 is by two things. Any login without it. */
  acr: LoginLevelSchema.optional(),
});
export type ChangeApproval = z.infer<typeof ChangeApprovalSchema>;

/** A tenant's place. A frozen project lists, but nothing is called and no run starts. Its `metadata.project` is its own name. */
export const ProjectSpecSchema = z.strictObject({
  description: z.string().max(500).optional(),
  environment: z.enum(['development', 'staging', 'production']).default('development'),
  frozen: z.boolean().default(false),
  rates: z.array(ProjectRateSchema).max(mostRates).optional(),
  retention: RetentionSpecSchema.optional(),
  /** What the diagnoses of all of its targets together may cost on one day (UTC), beside what each target allows; as much as those allow without it. */
  escalation: z.strictObject({ costMicroUsdPerDay: z.number().int().min(0).max(1_000_000_000) }).optional(),
  /** Changes that take more than one person: publishing policies, accepting what a server offers, and releasing what was read. */
  approvals: z
    .strictObject({
      publication: ChangeApprovalSchema.optional(),
      definitions: ChangeApprovalSchema.optional(),
      release: ChangeApprovalSchema.optional(),
    })
    .optional(),
});
export type ProjectSpec = z.infer<typeof ProjectSpecSchema>;
