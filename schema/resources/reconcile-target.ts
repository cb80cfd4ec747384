import { z } from 'zod';
import { NameSchema } from '../ids.ts';
import { ObjectRefSchema } from '../reconcile/object-ref.ts';
import { SecretReferenceSchema } from './metadata.ts';
import { ChangeApprovalSchema } from './project.ts';

const JsonPointerSchema = z
  .string()
  .max(1024)
  .regex(/^(\/([^~/]|~[01])*)+$/, 'a JSON pointer (RFC 6901) such as `/spec/replicas`; `*` stands for any one part');

/**
 * What is left alone: a field, all that one field manager owns, or both together; in one object or in all. It is neither reported nor
 * changed, and survives when a field beside it is mended.
 */
export const IgnoreRuleSchema = z
  .strictObject({
    object: ObjectRefSchema.partial().optional(),
    path: JsonPointerSchema.optional(),
    manager: z.string().min(1).max(128).optional(),
    reason: z.string().max(300).optional(),
  })
  .refine(({ path, manager }) => path !== undefined || manager !== undefined, '`path` or `manager`, or both');
export type IgnoreRule = z.infer<typeof IgnoreRuleSchema>;

const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day such as `22:00`');
const timeZone = z.string().refine((name) => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}, 'a time zone such as `Europe/Berlin`');

/** When changes may be made (`allow`) and when not (`deny`, which wins). Drift is seen and reported at any time. `from` after `to` passes midnight. */
export const WindowSchema = z.strictObject({
  kind: z.enum(['allow', 'deny']),
  days: z
    .array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
    .min(1)
    .default(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']),
  from: clockTime,
  to: clockTime,
  timeZone: timeZone.default('UTC'),
});
export type Window = z.infer<typeof WindowSchema>;

/** What one target may cost and change. A limit that is reached stops writing and asks people; it never stops observing. */
export const TargetLimitsSchema = z.strictObject({
  /** Objects that one plan may change, and their share of the target's objects. */
  objectsPerPlan: z.number().int().min(1).max(100).default(5),
  percentPerPlan: z.number().int().min(1).max(100).default(50),
  /** Changes, by rules and by plans together. */
  fixesPerHour: z.number().int().min(1).max(1000).default(20),
  /** Seconds from one fix of a fault to the next of the same. */
  cooldownSeconds: z.number().int().min(0).max(86_400).default(300),
  /** After so many failures of one fault nothing is tried for `blockSeconds`. */
  failuresBeforeBlock: z.number().int().min(1).max(20).default(3),
  blockSeconds: z.number().int().min(1).max(604_800).default(3600),
  /** After so many reverts by somebody else a field is contested: writing stops and people are asked once. */
  revertsBeforeContested: z.number().int().min(1).max(20).default(3),
});
export type TargetLimits = z.infer<typeof TargetLimitsSchema>;

/** Who finds out what no rule knows, and for how much. Without a role people are asked at once. */
export const EscalationSchema = z.strictObject({
  /** The read-only agent that diagnoses and proposes. */
  role: NameSchema.optional(),
  costMicroUsd: z.number().int().min(0).max(100_000_000).default(500_000),
  costMicroUsdPerDay: z.number().int().min(0).max(1_000_000_000).default(10_000_000),
  toolCalls: z.number().int().min(0).max(200).default(25),
  seconds: z.number().int().min(1).max(3600).default(180),
});
export type Escalation = z.infer<typeof EscalationSchema>;

/** How an effect is judged: the symptom has to be gone and the neighbourhood healthy for the whole hold time. */
export const VerificationSchema = z.strictObject({
  timeoutSeconds: z.number().int().min(1).max(3600).default(180),
  holdSeconds: z.number().int().min(0).max(3600).default(60),
});

const common = {
  description: z.string().max(500).optional(),
  /** Between two looks at everything; changes that are watched are seen at once. */
  intervalSeconds: z.number().int().min(1).max(86_400).default(60),
  paused: z.boolean().default(false),
  /** No change of it is made without a person, however small. */
  critical: z.boolean().default(false),
  /** `irreversible-ok`: people may approve what cannot be undone. */
  allow: z.array(z.enum(['irreversible-ok'])).default([]),
  ignore: z.array(IgnoreRuleSchema).max(256).default([]),
  windows: z.array(WindowSchema).max(32).default([]),
  /** What becomes of a fix that is being applied while the target is paused or its window closes: its steps are finished, or undone. */
  onStop: z.enum(['finish', 'undo']).default('finish'),
  limits: TargetLimitsSchema.prefault({}),
  escalation: EscalationSchema.prefault({}),
  verification: VerificationSchema.prefault({}),
  approval: ChangeApprovalSchema.prefault({ expiresInSeconds: 3600 }),
  /** `Channel` resources that are told of approvals and pages. */
  channels: z.array(NameSchema).max(16).default([]),
  /** Whom to call when nobody answers, for people to read. */
  contact: z.string().max(200).optional(),
  /** Rules that are not used here. */
  rulesOff: z.array(NameSchema).max(256).default([]),
};

/** One Kubernetes object as people write it. Its health counts before the next wave (`quarterdeck.dev/wave`, a number, 0 by default) begins. */
export const ManifestSchema = z.looseObject({
  apiVersion: z.string().min(1).max(128),
  kind: z.string().min(1).max(128),
  metadata: z.looseObject({ name: z.string().min(1).max(253), namespace: z.string().max(63).optional() }),
});
export type Manifest = z.infer<typeof ManifestSchema>;

/** Manifests that are kept in a cluster, by server-side apply under the field manager `quarterdeck`. */
export const KubernetesTargetSchema = z.strictObject({
  type: z.literal('kubernetes'),
  ...common,
  /** A kubeconfig; without it the service account of the pod that we run in. */
  cluster: z.strictObject({ kubeconfig: SecretReferenceSchema, context: z.string().max(253).optional() }).optional(),
  /** For objects that name none; nothing outside `namespaces` is ever changed. */
  namespace: NameSchema,
  namespaces: z.array(NameSchema).max(64).default([]),
  manifests: z.array(ManifestSchema).max(2000),
  /** Objects that we made and that are declared no more are deleted, never more at once than `limits` say, and none while anything is unreadable. */
  prune: z.boolean().default(false),
});

/** What this installation itself is to be: servers, toolsets, pins, policies, routes, agents and fleets of this project. */
export const PlatformTargetSchema = z.strictObject({
  type: z.literal('platform'),
  ...common,
  watch: z
    .array(z.enum(['servers', 'toolsets', 'pins', 'policies', 'keys', 'runs', 'workers']))
    .min(1)
    .default(['servers', 'toolsets', 'pins', 'policies', 'keys', 'runs', 'workers']),
});

/**
 * A named call of one tool. In the arguments of an action `{"$desired": "/pointer"}` stands for what is found there in what its observation is
 * to be, `{"$observed": "/pointer"}` in what was seen when the plan was made; the empty pointer is the whole.
 */
export const TargetCallSchema = z.strictObject({
  tool: z.string().min(1).max(128),
  arguments: z.record(z.string().max(256), z.json()).default({}),
});
export type TargetCall = z.infer<typeof TargetCallSchema>;

/** Anything that an MCP server reaches: seen and changed by the named calls alone, through the gateway. */
export const McpTargetSchema = z.strictObject({
  type: z.literal('mcp'),
  ...common,
  toolset: NameSchema,
  /** The agent role as which it is seen and changed. */
  role: NameSchema,
  /** What is there: the structured result (or text that is JSON) of each call, or what `select` points at in it, under `name`. */
  observe: z
    .array(TargetCallSchema.extend({ name: NameSchema, select: JsonPointerSchema.optional() }))
    .min(1)
    .max(64),
  /** Name of an observation -> what it is to be; of an object only the members that are named here. */
  desired: z.record(NameSchema, z.json()),
  /** What may be done about an observation that differs, and what undoes it. */
  actions: z
    .array(z.strictObject({ name: NameSchema, of: NameSchema, apply: TargetCallSchema, undo: TargetCallSchema.optional() }))
    .max(64)
    .default([]),
});

/** What is kept equal to what was declared, and how much may be done about a difference. */
export const ReconcileTargetSpecSchema = z.discriminatedUnion('type', [KubernetesTargetSchema, PlatformTargetSchema, McpTargetSchema]);
export type ReconcileTargetSpec = z.infer<typeof ReconcileTargetSpecSchema>;
export type TargetSpecOf<T extends ReconcileTargetSpec['type']> = Extract<ReconcileTargetSpec, { type: T }>;
export type TargetType = ReconcileTargetSpec['type'];
