import { z } from 'zod';

/** `intent` is committed before whatever may have an effect; `outcome` follows it; `call` is the one row of a read-only call; `refusal` is a call that did not happen. */
export const AuditKindSchema = z.enum(['intent', 'outcome', 'call', 'refusal', 'change']);
export type AuditKind = z.infer<typeof AuditKindSchema>;

/** One row of the audit: who did what to which thing, what was decided, how it ended. No content: no argument text, no result, no token. */
export const AuditEventSchema = z.object({
  sequence: z.number().int(),
  at: z.string(),
  kind: AuditKindSchema,
  org: z.string(),
  project: z.string(),
  /** `callTool`, `listTool`, `invokeModel`, `applyResource`, `deleteResource`, `launchFleet`, `cancelRun`, … */
  action: z.string(),
  decision: z.enum(['allow', 'deny']),
  decisionId: z.string(),
  /** Ids of the policies that decided. */
  policies: z.array(z.string()),
  /** A person's id; the pseudonym, `psn_…`, where nobody can say any more, or may not know, who that is. */
  person: z.string().nullable(),
  agent: z.string().nullable(),
  role: z.string().nullable(),
  fleet: z.string().nullable(),
  run: z.string().nullable(),
  toolset: z.string().nullable(),
  server: z.string().nullable(),
  tool: z.string().nullable(),
  model: z.string().nullable(),
  resource: z.string().nullable(),
  operationId: z.string().nullable(),
  outcome: z.enum(['ok', 'tool_error', 'error', 'refused', 'unknown', 'cancelled', 'pending']),
  errorCode: z.string().nullable(),
  durationMs: z.number().nullable(),
  inputTokens: z.number().int().nullable(),
  outputTokens: z.number().int().nullable(),
  costMicroUsd: z.number().int().nullable(),
  /** Canonical facts of the arguments: paths, hosts, sizes. */
  facts: z.record(z.string(), z.json()),
  /** `admin-token` where the installation's own token was used. */
  stamp: z.string().nullable(),
  /** Of the arguments, keyed: equal ones meet, and a guess cannot be confirmed by who reads the row. */
  argumentsDigest: z.string().nullable(),
  /** Which policies were in force, by a digest of them all. */
  policyVersion: z.string().nullable(),
  /** W3C trace id of the request, the same from the person to the backend. */
  traceId: z.string().nullable(),
  /** Where the row stands in its chain: process, chain of that process, commit, row of that commit. Empty before there were chains. */
  writer: z.string().nullable(),
  epoch: z.number().int().nullable(),
  link: z.number().int().nullable(),
  position: z.number().int().nullable(),
  /** What the policies decided, and on what; see `DecisionBasis`. Null where they were not asked. */
  basis: z.string().nullable(),
});
export type AuditEvent = z.infer<typeof AuditEventSchema>;

export type NewAuditEvent = Pick<AuditEvent, 'kind' | 'org' | 'project' | 'action' | 'decision' | 'decisionId' | 'outcome'> &
  Partial<Omit<AuditEvent, 'sequence' | 'at' | 'writer' | 'epoch' | 'link' | 'position'>>;

/** What `audit query` asks. */
export const AuditQuerySchema = z.object({
  run: z.string().optional(),
  /** Calls of an agent's step of this number: to its model, and of the tools that the answer asked for. */
  step: z.coerce.number().int().min(1).max(1_000_000).optional(),
  agent: z.string().optional(),
  role: z.string().optional(),
  fleet: z.string().optional(),
  person: z.string().optional(),
  tool: z.string().optional(),
  trace: z.string().optional(),
  action: z.string().optional(),
  kind: AuditKindSchema.optional(),
  decision: z.enum(['allow', 'deny']).optional(),
  decisionId: z.string().max(64).optional(),
  since: z.iso.datetime({ offset: true }).optional(),
  after: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(200),
});
export type AuditQuery = z.infer<typeof AuditQuerySchema>;
