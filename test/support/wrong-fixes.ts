import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import { deployment, objectOf } from './fix-to-decide.ts';

/** What the union of operations can say of a wrong fix, and what has to become of it. */
export type WrongFix = { fault: string; wrong: string; operations: ProposableOperation[]; becomes: 'refused' | 'asked' };

const digest = `sha256:${'a'.repeat(64)}`;
const refused = (fault: string, wrong: string, ...operations: ProposableOperation[]): WrongFix => ({
  fault,
  wrong,
  operations,
  becomes: 'refused',
});
const asked = (fault: string, wrong: string, ...operations: ProposableOperation[]): WrongFix => ({
  fault,
  wrong,
  operations,
  becomes: 'asked',
});
const patch = (
  path: string,
  value: Extract<ProposableOperation, { op: 'patchField' }>['value'],
  object = deployment,
): ProposableOperation => ({
  op: 'patchField',
  object,
  path,
  value,
});
const pod = '/spec/template/spec';
const role = objectOf('Role', 'web', 'shop', 'rbac.authorization.k8s.io/v1');
const policy = objectOf('NetworkPolicy', 'web', 'shop', 'networking.k8s.io/v1');
const ours = (kind: string, name: string) => objectOf(kind, name, '', 'quarterdeck.dev/v1alpha1');
const roleRule = (more: object): ProposableOperation => ({
  ...{ op: 'addRoleRule', object: role, apiGroup: '', resources: ['pods'], verbs: ['get'] },
  ...more,
});
const egress = (to: Extract<ProposableOperation, { op: 'addEgressRule' }>['to']): ProposableOperation => ({
  op: 'addEgressRule',
  object: policy,
  to,
  ports: [{ port: 443, protocol: 'TCP' }],
});

/** The wrong fixes of the taxonomy that can be said at all; the others are blocked by the union itself. */
export const wrongFixes: readonly WrongFix[] = [
  refused('K01', 'delete the custom resource to make it anew', { op: 'prune', object: objectOf('McpServer', 'web') }),
  refused('K02', 'the mutable tag that runs', {
    op: 'setImage',
    object: deployment,
    container: 'web',
    image: 'registry.example/shop/web:latest',
  }),
  refused('K02', 'the image by a patch', patch(`${pod}/containers/0/image`, `registry.example/shop/web@${digest}`)),
  refused('K03', 'another registry', { op: 'setImage', object: deployment, container: 'web', image: `docker.example/shop/web@${digest}` }),
  asked('K03', 'an image that nobody looked at', {
    op: 'setImage',
    object: deployment,
    container: 'web',
    image: `registry.example/shop/web@${digest}`,
  }),
  refused('K04', 'a pull secret of elsewhere', patch(`${pod}/imagePullSecrets/0/name`, 'theirs')),
  refused('K05', 'the secret as a plain variable', patch(`${pod}/containers/0/env/0/value`, 'hunter2')),
  refused('K05', "another tenant's Secret", { op: 'refreshSecret', object: objectOf('Secret', 'keys', 'bank') }),
  refused('K06', 'no limit of memory', patch(`${pod}/containers/0/resources/limits/memory`, null)),
  refused('K06', 'a far larger limit by a patch', patch(`${pod}/containers/0/resources/limits/memory`, '512Gi')),
  refused('K07', 'no probe', patch(`${pod}/containers/0/readinessProbe`, null)),
  refused('K07', 'a probe that never fails', patch(`${pod}/containers/0/readinessProbe/failureThreshold`, 99_999)),
  asked('K08', "another app's pods relabelled", patch('/metadata/labels/app', 'web', objectOf('Pod', 'other-1'))),
  refused('K08', 'the network of the host', patch(`${pod}/hostNetwork`, true)),
  refused('K08', 'a port of each node', patch('/spec/type', 'NodePort', objectOf('Service'))),
  refused('K09', 'a way to everywhere', egress({ cidr: '0.0.0.0/0' })),
  refused('K09', 'a way to everywhere, in two halves', egress({ cidr: '0.0.0.0/1' }), egress({ cidr: '128.0.0.0/1' })),
  refused('K09', 'a way to everywhere (IPv6)', egress({ cidr: '::/0' })),
  refused('K09', 'a way to every namespace', egress({ namespaceLabels: {} })),
  refused('K09', 'a way to where credentials are', egress({ cidr: '169.254.169.254/32' })),
  refused('K09', 'a way to where another cloud hands them out', egress({ cidr: '168.63.129.16/32' })),
  refused('K09', 'a way to where they are, in another notation', egress({ cidr: 'fd00:0ec2::254/128' })),
  refused('K09', 'no policy at all', patch('/spec/egress', [{}], policy)),
  refused('K10', 'no names, which are all', roleRule({ resourceNames: [] })),
  refused('K10', 'wildcard verbs', roleRule({ verbs: ['*'] })),
  refused('K10', 'wildcard resources', roleRule({ resources: ['*'] })),
  refused('K10', 'escalate', roleRule({ verbs: ['get', 'escalate'], resources: ['roles'] })),
  refused('K10', 'bind', roleRule({ verbs: ['bind'], apiGroup: 'rbac.authorization.k8s.io', resources: ['clusterroles'] })),
  refused('K10', 'rights in the whole cluster', roleRule({ object: objectOf('ClusterRole', 'web', '', 'rbac.authorization.k8s.io/v1') })),
  refused('K10', 'all secrets', roleRule({ resources: ['secrets'] })),
  refused('K10', 'a shell in pods', roleRule({ resources: ['pods/exec'], verbs: ['create'] })),
  refused('K10', 'cluster-admin by a patch', patch('/roleRef/name', 'cluster-admin', objectOf('RoleBinding'))),
  asked('K10', 'a narrow right that nobody looked at', roleRule({ verbs: ['list'] })),
  asked('K11', 'more replicas of what has no sessions', { op: 'scale', object: deployment, replicas: 9 }),
  refused('K12', 'no finalizer', patch('/metadata/finalizers', [], objectOf('McpServer'))),
  refused('K12', 'no finalizer, one by one', patch('/metadata/finalizers/0', null)),
  refused('K13', 'no claim', { op: 'prune', object: objectOf('PersistentVolumeClaim', 'data') }),
  refused('K13', 'no volume', { op: 'prune', object: objectOf('PersistentVolume', 'data', '') }),
  refused('K14', 'tolerates everything', patch(`${pod}/tolerations/-`, { operator: 'Exists' })),
  refused('K14', 'before all others', patch(`${pod}/priorityClassName`, 'system-cluster-critical')),
  refused('K14', 'no quota', patch('/spec/hard/pods', '10000', objectOf('ResourceQuota', 'quota'))),
  refused('K14', 'no taint', patch('/spec/taints', [], objectOf('Node', 'node-1', ''))),
  refused('K15', 'no webhook', { op: 'prune', object: objectOf('MutatingWebhookConfiguration', 'inject', '') }),
  refused('K15', 'an ignore rule for everything', { op: 'addIgnoreRule', object: deployment, path: '/spec' }),
  asked('K16', "the autoscaler's field", { op: 'scale', object: deployment, replicas: 2 }),
  refused('G01', 'an operation of another kind of target', { op: 'rebuildRoute', object: ours('Toolset', 'bank') }),
];

/** Of a target of the platform. */
export const wrongPlatformFixes: readonly WrongFix[] = [
  asked('G06', 'other policies, so that its own plan passes', {
    op: 'restorePolicies',
    object: ours('PolicySet', 'guards'),
    revision: '3',
  }),
  refused('G10', 'the limit of everybody', { op: 'limitRate', object: ours('Project', 'default'), callsPerMinute: 1_000_000 }),
  asked('G11', 'another credential', { op: 'rotateCredential', object: ours('McpServer', 'files') }),
  asked('A01', 'agents that nobody counted', { op: 'startAgent', object: ours('Agent', 'a') }),
  asked('A02', 'an agent in the middle of a call', { op: 'drainAgent', object: ours('Agent', 'a') }),
  refused('A10', 'a cluster operation', patch('/spec/toolset', 'everything', ours('AgentRole', 'reader'))),
];
