import type { Operation, ProposableOperation } from '../schema/reconcile/operation.ts';
import { isWidePath } from '../schema/reconcile/wide-path.ts';
import { type FixBounds, isForeign, isOfTarget } from './fix-bounds.ts';
import { isWideEgress } from './wide-egress.ts';

/**
 * What a fix may never do, whoever proposes it and whoever would approve it. The checker of plans refuses these too; policy does not rely
 * on that.
 */
export const neverTraits = [
  'foreign',
  'mutable-image',
  'wide-rights',
  'wide-egress',
  'deletes-data',
  'strips-guard',
  'inline-secret',
  'host-access',
  'cluster-object',
  'wide-ignore',
  'lifts-limit',
] as const;
export type NeverTrait = (typeof neverTraits)[number];
/** `attended`: a person looks at it first; `four-eyes`: two do. `paused-kind`: one of the kind made things worse on the target lately. */
export type FixTrait = NeverTrait | 'attended' | 'four-eyes' | 'paused-kind';

/** Operations that a model may have applied without a person, where nothing else speaks against it: each leads back to what is declared, or is safe by itself. */
export const unattendedOperations = [
  'reapply',
  'restart',
  'refreshTools',
  'rebuildRoute',
  'refetchKeys',
  'reloadPolicies',
  'quarantineTool',
  'wait',
  'askOwner',
  'nothing',
] as const satisfies readonly ProposableOperation['op'][];

/** Objects that belong to the whole cluster or guard it: nothing of them is changed to mend one target. */
const clusterKinds: ReadonlySet<string> = new Set([
  ...['Node', 'Namespace', 'PersistentVolume', 'StorageClass', 'PriorityClass', 'ResourceQuota', 'LimitRange', 'APIService'],
  ...['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration', 'CustomResourceDefinition', 'ValidatingAdmissionPolicy'],
]);
const rightsKinds: ReadonlySet<string> = new Set(['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding', 'ServiceAccount']);
/** Deleting these loses what nothing brings back. */
const dataKinds: ReadonlySet<string> = new Set([
  ...['PersistentVolumeClaim', 'PersistentVolume', 'Secret', 'Namespace', 'StatefulSet', 'CustomResourceDefinition', 'McpServer'],
]);
const grantingVerbs: ReadonlySet<string> = new Set(['*', 'escalate', 'bind', 'impersonate', 'deletecollection']);
const guardedGroups: ReadonlySet<string> = new Set([
  ...['*', 'rbac.authorization.k8s.io', 'admissionregistration.k8s.io', 'certificates.k8s.io', 'apiextensions.k8s.io'],
]);

/** Fields that hold a guard, a right or a way out. Matched against the pointer without its indexes. */
const patchedFields: readonly [RegExp, NeverTrait][] = [
  [/^\/metadata\/(finalizers|ownerReferences)/, 'strips-guard'],
  [/\/(readiness|liveness|startup)Probe(\/failureThreshold)?$/, 'strips-guard'],
  [/\/(resources|limits)(\/|$)/, 'strips-guard'],
  [/\/(securityContext|seccompProfile|capabilities|privileged|allowPrivilegeEscalation|runAs\w+)(\/|$)/, 'strips-guard'],
  [/\/(tolerations|priorityClassName|priority|nodeName)(\/|$)/, 'strips-guard'],
  [/\/host(Network|PID|IPC|Path|Port|Users|Aliases)(\/|$)/, 'host-access'],
  [/\/volumes(\/|$)/, 'host-access'],
  [/^\/spec\/(type|externalIPs|externalName|loadBalancer\w*)(\/|$)/, 'host-access'],
  [/\/ports\/nodePort$/, 'host-access'],
  [/\/serviceAccount(Name)?$|\/automountServiceAccountToken$/, 'wide-rights'],
  [/\/env(From)?(\/|$)/, 'inline-secret'],
  [/\/imagePullSecrets(\/|$)/, 'inline-secret'],
  [/\/image$/, 'mutable-image'],
  [/\/(command|args|lifecycle)(\/|$)/, 'host-access'],
];
/** A value is put in place of many fields at once, so that what is in it cannot be told from where it goes. */
const holdsGuard =
  /^\/(spec|metadata|data|stringData)?(\/template(\/(spec|metadata))?)?(\/(containers|initContainers|ephemeralContainers|rules))?$/;

const withoutIndexes = (pointer: string): string => pointer.replace(/\/(\d+|-)(?=\/|$)/g, '');

const traitsOfPatch = ({ object, path, value }: Extract<ProposableOperation, { op: 'patchField' }>): FixTrait[] => {
  const field = withoutIndexes(path);
  const found: FixTrait[] = patchedFields.flatMap(([pattern, trait]) => (pattern.test(field) ? [trait] : []));
  if (holdsGuard.test(field) || (typeof value === 'object' && value !== null)) found.push('strips-guard');
  if (value === null) found.push('strips-guard');
  if (object.kind === 'Secret') found.push('inline-secret');
  if (object.kind === 'NetworkPolicy') found.push('wide-egress');
  if (rightsKinds.has(object.kind)) found.push('wide-rights');
  if (clusterKinds.has(object.kind)) found.push('cluster-object');
  return [...found, 'attended'];
};

const traitsOfRole = ({ apiGroup, resources, verbs, resourceNames, object }: Extract<ProposableOperation, { op: 'addRoleRule' }>) => {
  const isWide =
    object.kind !== 'Role' ||
    verbs.some((verb) => grantingVerbs.has(verb.toLowerCase())) ||
    resources.some(
      (name) => name.includes('*') || /^(pods\/(exec|attach|portforward|ephemeralcontainers)|serviceaccounts\/token)$/.test(name),
    ) ||
    guardedGroups.has(apiGroup) ||
    // a list of no names stands for every name
    resourceNames?.length === 0 ||
    (resources.includes('secrets') && resourceNames === undefined);
  return [isWide ? 'wide-rights' : 'four-eyes', 'attended'] as const;
};

const traitsOf = (operation: Operation): readonly FixTrait[] => {
  switch (operation.op) {
    case 'setImage':
      return [...(/@sha256:[0-9a-f]{64}$/.test(operation.image) ? [] : (['mutable-image'] as const)), 'attended'];
    case 'patchField':
      return traitsOfPatch(operation);
    case 'addRoleRule':
      return traitsOfRole(operation);
    case 'addEgressRule':
      return [...(isWideEgress(operation.to) ? (['wide-egress'] as const) : []), 'attended'];
    case 'createClaim':
      return ['four-eyes'];
    case 'prune':
      return [...(dataKinds.has(operation.object.kind) ? (['deletes-data'] as const) : [])];
    case 'scale':
      return operation.replicas === 0 ? ['four-eyes'] : [];
    case 'limitRate':
      // a limit of everybody is not raised to let one caller through: one agent, or one server's callers, are held to less
      return ['Agent', 'McpServer'].includes(operation.object.kind) ? [] : ['lifts-limit'];
    case 'restorePolicies':
      return ['four-eyes'];
    case 'addIgnoreRule':
      return [...(isWidePath(operation.path) ? (['wide-ignore'] as const) : []), 'attended'];
    case 'removeUndeclared': // whoever added it may have had a reason
    case 'setSecretKey':
    case 'reviveController':
    case 'drainAgent':
    case 'rotateCredential':
      return ['attended'];
    default:
      return [];
  }
};

/** What a rule may do alone though others are asked: it restores what it is written for, and a symptom of its own has to be seen. */
const ownToRules: Partial<Record<ProposableOperation['op'], FixTrait>> = {
  restorePolicies: 'four-eyes',
  drainAgent: 'attended',
  rotateCredential: 'attended',
  reviveController: 'attended',
};

/**
 * What stands out in a fix, as policies see it. Read from its operations alone, so that it says the same whatever a checker found before.
 * @param source - a rule is asked less of than a model or a person
 */
export const fixTraits = (
  bounds: FixBounds,
  source: 'rule' | 'model' | 'person',
  operations: readonly ProposableOperation[],
): FixTrait[] => {
  const found = operations.flatMap((operation): FixTrait[] => [
    ...traitsOf(operation).filter((trait) => source !== 'rule' || ownToRules[operation.op] !== trait),
    ...(isForeign(bounds, operation) ? (['foreign'] as const) : []),
    ...(clusterKinds.has(operation.object.kind) && !isOfTarget(operation) && operation.op !== 'reapply'
      ? (['cluster-object'] as const)
      : []),
  ]);
  return [...new Set(found)].sort();
};
