import type { Operation } from '../schema/reconcile/operation.ts';
import type { ReconcileTargetSpec } from '../schema/resources/reconcile-target.ts';

/** What a fix stays within: the kind of target and, of a cluster, its namespaces and the repositories that its declared images are of. */
export type FixBounds = { type: ReconcileTargetSpec['type']; namespaces: readonly string[]; repositories: ReadonlySet<string> };

const kubernetesOperations: ReadonlySet<string> = new Set([
  ...[
    'reapply',
    'setImage',
    'patchField',
    'removeUndeclared',
    'scale',
    'restart',
    'setResources',
    'setProbe',
    'setSecretKey',
    'refreshSecret',
  ],
  ...['addEgressRule', 'addRoleRule', 'createClaim', 'reviveController', 'prune'],
]);
const targetOperations: ReadonlySet<string> = new Set(['addIgnoreRule', 'wait', 'askOwner', 'nothing']);

/** `registry:5000/team/app:1.2@sha256:…` without tag and digest. */
export const repositoryOf = (image: string): string => {
  const [named = ''] = image.split('@', 1);
  const slash = named.lastIndexOf('/');
  const colon = named.indexOf(':', slash + 1);
  return colon < 0 ? named : named.slice(0, colon);
};

const imagesIn = (value: unknown): string[] => {
  if (Array.isArray(value)) return value.flatMap(imagesIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === 'image' && typeof inner === 'string' ? [inner] : imagesIn(inner)));
};

/** What a target's declaration lets a fix touch. */
export const boundsOf = (spec: ReconcileTargetSpec): FixBounds => ({
  type: spec.type,
  namespaces: spec.type === 'kubernetes' ? [spec.namespace, ...spec.namespaces] : [],
  repositories: new Set(spec.type === 'kubernetes' ? imagesIn(spec.manifests).map(repositoryOf) : []),
});

/** Whether an operation changes nothing but how the target is kept. */
export const isOfTarget = ({ op }: Operation): boolean => targetOperations.has(op);

/** Whether an operation is of another kind of target, of a namespace that the target does not name, or brings an image from elsewhere. */
export const isForeign = ({ type, namespaces, repositories }: FixBounds, operation: Operation): boolean => {
  const { op, object } = operation;
  const family = kubernetesOperations.has(op) ? 'kubernetes' : op === 'act' ? 'mcp' : targetOperations.has(op) ? type : 'platform';
  if (family !== type) return true;
  if (type === 'kubernetes' && object.namespace !== '' && !namespaces.includes(object.namespace)) return true;
  return operation.op === 'setImage' && !repositories.has(repositoryOf(operation.image));
};
