import { z } from 'zod';
import { ProposableOperationSchema } from './reconcile/operation.ts';
import type { ShownFix } from './reconcile/shown-fix.ts';

export const ApprovalIdSchema = z
  .string()
  .regex(/^apr_[0-9a-z]{16}$/, '`apr_` and 16 letters or digits, as `quarterdeck approvals ls` prints it');

/**
 * What is approved. `call`: one call of a tool, which its caller makes afterwards. `publication`: policies of a project, `definitions`: what
 * a server offers, and `release`: what was read and may be told to anybody; these come into force with the last approval. `fix`:
 * a plan of the reconciler, which its workflow applies afterwards.
 */
export const ApprovalKindSchema = z.enum(['call', 'publication', 'definitions', 'release', 'fix']);
export type ApprovalKind = z.infer<typeof ApprovalKindSchema>;

/**
 * `approved` until its call is made, which makes it `consumed`. Of `denied`, `expired` and `consumed` nothing follows any more;
 * `expired` counts as denied.
 */
export const ApprovalStateSchema = z.enum(['pending', 'approved', 'denied', 'expired', 'consumed']);
export type ApprovalState = z.infer<typeof ApprovalStateSchema>;

/** How well a login has to prove who somebody is: 2 is by two things, as `acr` of its token says. */
export const LoginLevelSchema = z.number().int().min(1).max(9);

/**
 * What one policy asks for: `count` different people, each of whom is one of `approvers` (`role:NAME`, `group:NAME`, `person:NAME`), after a
 * login of level `acr` at least.
 */
export const ApprovalRuleSchema = z.object({
  policy: z.string(),
  approvers: z.array(z.string()).min(1),
  count: z.number().int().min(1),
  acr: LoginLevelSchema.optional(),
});
export type ApprovalRule = z.infer<typeof ApprovalRuleSchema>;

/** What all policies together ask for before a call is made: every rule is to be met, within `expiresInSeconds`. */
export type ApprovalNeed = { rules: ApprovalRule[]; expiresInSeconds: number; reason: string };

export const VerdictSchema = z.enum(['approve', 'deny']);
export type Verdict = z.infer<typeof VerdictSchema>;

/** One person's answer. `stamp` is how the person came in, or `self` where they answered for a call of their own. */
export const ApprovalDecisionSchema = z.object({
  person: z.string(),
  verdict: VerdictSchema,
  at: z.string(),
  stamp: z.string(),
  comment: z.string().nullable(),
});
export type ApprovalDecision = z.infer<typeof ApprovalDecisionSchema>;

/**
 * What waits for people, or waited. `digest` stands for the exact bytes: whoever approves, approves this digest and no other. Of what is no
 * call, `toolset`, `server`, `tool` and `definitionHash` are empty, and `subject` says in a few words what it is about.
 */
export const ApprovalSchema = z.object({
  id: ApprovalIdSchema,
  org: z.string(),
  project: z.string(),
  kind: ApprovalKindSchema,
  subject: z.string(),
  state: ApprovalStateSchema,
  /** Who would call: `person:ORG/ID` or `agent:ID`. */
  principal: z.string(),
  /** The person who calls, or on whose behalf the agent acts. */
  person: z.string(),
  agent: z.string().nullable(),
  role: z.string().nullable(),
  fleet: z.string().nullable(),
  run: z.string().nullable(),
  toolset: z.string(),
  server: z.string(),
  tool: z.string(),
  /** Hash of the tool's definition as it was pinned. */
  definitionHash: z.string(),
  argumentsDigest: z.string(),
  digest: z.string(),
  /** Empty where the caller named none. */
  operationId: z.string(),
  reason: z.string(),
  rules: z.array(ApprovalRuleSchema),
  decisionId: z.string(),
  requestedAt: z.string(),
  expiresAt: z.string(),
  decidedAt: z.string().nullable(),
  consumedAt: z.string().nullable(),
  decisions: z.array(ApprovalDecisionSchema),
});
export type Approval = z.infer<typeof ApprovalSchema>;

/** What the proposer of a change is told while others have to approve it. */
export type WaitingChange = Pick<Approval, 'digest' | 'expiresAt' | 'rules'> & { approvalId: string };

/** Whether whoever looks may approve it now, as policy says before they try; `why` not, and what to do. */
export type MayAnswer = { mayApprove: boolean; why: string };

/** With what would be run or put into force: as JSON, every character to be seen; of a fix also what it is for and what it would do. */
export type ApprovalDetail = Approval & { arguments: string; fix?: ShownFix; you?: MayAnswer };

/** What `POST …/approvals/ID/approve` and `…/deny` take: the digest of the call that the person looked at. */
export const DecideApprovalSchema = z.strictObject({
  digest: z.string().regex(/^[0-9a-f]{64}$/, 'the digest that `quarterdeck approvals show` prints, 64 characters'),
  comment: z.string().max(500).optional(),
});
export type DecideApproval = z.infer<typeof DecideApprovalSchema>;

/** What `POST …/approvals/ID/edit` takes: what is to be done instead of the plan with this digest. */
export const EditFixSchema = DecideApprovalSchema.extend({ operations: z.array(ProposableOperationSchema).min(1).max(8) });
export type EditFix = z.infer<typeof EditFixSchema>;

/** What `GET …/approvals` asks; without a state those that are open. */
export const ApprovalQuerySchema = z.object({
  state: z.enum([...ApprovalStateSchema.options, 'all']).default('pending'),
  run: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(200),
});
export type ApprovalQuery = z.infer<typeof ApprovalQuerySchema>;
