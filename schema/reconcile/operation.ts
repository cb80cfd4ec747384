import { z } from 'zod';
import { NameSchema } from '../ids.ts';
import { ObjectRefSchema } from './object-ref.ts';

const object = ObjectRefSchema;
const container = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'the name of a container');
const port = z.number().int().min(1).max(65_535);
const pointer = z
  .string()
  .max(1024)
  .regex(/^(\/([^~/]|~[01])*)+$/, 'a JSON pointer (RFC 6901)');
const quantity = z.string().regex(/^\d{1,12}(\.\d{1,3})?(m|[kKMGT]i?)?$/, 'a quantity of Kubernetes such as `512Mi` or `250m`');
const labels = z.record(z.string().max(317), z.string().max(63));

/** Operations on a cluster. Each names one object, and says a value, never a text that is run. */
export const KubernetesOperationSchema = z.discriminatedUnion('op', [
  /** Makes the object what was declared, where it is missing or differs. */
  z.strictObject({ op: z.literal('reapply'), object }),
  /** An image by digest, of the same repository. */
  z.strictObject({ op: z.literal('setImage'), object, container, image: z.string().min(1).max(512) }),
  z.strictObject({ op: z.literal('patchField'), object, path: pointer, value: z.json() }),
  /** Takes away what somebody added to the pods of a workload: pointers with items of lists by their name, such as `/spec/template/spec/containers/proxy`. */
  z.strictObject({ op: z.literal('removeUndeclared'), object, paths: z.array(pointer).min(1).max(32) }),
  z.strictObject({ op: z.literal('scale'), object, replicas: z.number().int().min(0).max(1000) }),
  z.strictObject({ op: z.literal('restart'), object }),
  z.strictObject({ op: z.literal('setResources'), object, container, memoryLimit: quantity.optional(), cpuLimit: quantity.optional() }),
  z.strictObject({
    op: z.literal('setProbe'),
    object,
    container,
    probe: z.enum(['readiness', 'liveness', 'startup']),
    port,
    path: z.string().startsWith('/').max(512).optional(),
  }),
  /** An environment variable that is taken from another key of a Secret of the same namespace. */
  z.strictObject({
    op: z.literal('setSecretKey'),
    object,
    container,
    variable: z.string().max(128),
    secret: z.string().max(253),
    key: z.string().max(253),
  }),
  /** Fills a Secret anew from the source that is declared for it. */
  z.strictObject({ op: z.literal('refreshSecret'), object }),
  z.strictObject({
    op: z.literal('addEgressRule'),
    object,
    to: z.union([z.strictObject({ namespaceLabels: labels, podLabels: labels.optional() }), z.strictObject({ cidr: z.string().max(64) })]),
    ports: z
      .array(z.strictObject({ port, protocol: z.enum(['TCP', 'UDP']) }))
      .min(1)
      .max(8),
  }),
  z.strictObject({
    op: z.literal('addRoleRule'),
    object,
    apiGroup: z.string().max(253),
    resources: z.array(z.string().min(1).max(253)).min(1).max(16),
    verbs: z.array(z.string().min(1).max(32)).min(1).max(16),
    resourceNames: z.array(z.string().max(253)).max(64).optional(),
  }),
  /** A new claim of another class, filled from the old one, which stays. */
  z.strictObject({
    op: z.literal('createClaim'),
    object,
    storageClass: z.string().max(253),
    size: quantity,
    copyFrom: z.string().max(253),
  }),
  /** Brings back the controller that a finalizer waits for; the finalizer itself stays. */
  z.strictObject({ op: z.literal('reviveController'), object, finalizer: z.string().max(317) }),
  /** Deletes what we made and nobody declares any more. */
  z.strictObject({ op: z.literal('prune'), object }),
]);
export type KubernetesOperation = z.infer<typeof KubernetesOperationSchema>;

/** Operations on this installation. */
export const PlatformOperationSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('refreshTools'), object }),
  z.strictObject({ op: z.literal('rebuildRoute'), object }),
  z.strictObject({ op: z.literal('quarantineTool'), object }),
  z.strictObject({ op: z.literal('prefixNames'), object }),
  z.strictObject({ op: z.literal('reloadPolicies'), object }),
  z.strictObject({ op: z.literal('restorePolicies'), object, revision: z.string().max(128) }),
  z.strictObject({ op: z.literal('refetchKeys'), object }),
  z.strictObject({ op: z.literal('limitRate'), object, callsPerMinute: z.number().int().min(1).max(1_000_000) }),
  z.strictObject({ op: z.literal('rotateCredential'), object }),
  z.strictObject({ op: z.literal('startAgent'), object }),
  z.strictObject({ op: z.literal('drainAgent'), object }),
  z.strictObject({ op: z.literal('suspendAgent'), object }),
  z.strictObject({ op: z.literal('restoreWorkers'), object }),
]);
export type PlatformOperation = z.infer<typeof PlatformOperationSchema>;

/** One of the actions that an `mcp` target declares, by its name: its calls are the target's own, never the model's. */
export const McpOperationSchema = z.strictObject({ op: z.literal('act'), object, action: NameSchema });
export type McpOperation = z.infer<typeof McpOperationSchema>;

/** Changes of how a target is kept, and answers that change nothing. */
export const TargetOperationSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('addIgnoreRule'), object, path: pointer, manager: z.string().max(128).optional() }),
  z.strictObject({ op: z.literal('wait'), object, seconds: z.number().int().min(1).max(3600) }),
  z.strictObject({ op: z.literal('askOwner'), object, question: z.string().min(1).max(1000) }),
  z.strictObject({ op: z.literal('nothing'), object }),
]);
export type TargetOperation = z.infer<typeof TargetOperationSchema>;

/** All that a rule or a model may propose: a closed union. What is not in it cannot be said. */
export const ProposableOperationSchema = z.union([
  KubernetesOperationSchema,
  PlatformOperationSchema,
  McpOperationSchema,
  TargetOperationSchema,
]);
export type ProposableOperation = z.infer<typeof ProposableOperationSchema>;

/** How code alone undoes: the object as it was before, by the digest of its kept state, or not there, by its uid; an `mcp` action by its declared undoing. */
export const UndoOperationSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('restore'), object, stateDigest: z.string() }),
  z.strictObject({ op: z.literal('remove'), object, uid: z.string() }),
  z.strictObject({ op: z.literal('undoAct'), object, action: NameSchema, stateDigest: z.string() }),
]);
export type UndoOperation = z.infer<typeof UndoOperationSchema>;

export type Operation = ProposableOperation | UndoOperation;
/** Changes nothing in the world. */
export const passiveOperations: ReadonlySet<string> = new Set(['wait', 'askOwner', 'nothing']);
