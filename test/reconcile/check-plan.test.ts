import { expect, test } from 'vitest';
import { checkPlan } from '../../reconcile/check-plan.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import { desired, objectOf, planOf, seen, targetOf, web } from './support.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const policy = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', namespace: 'shop', name: 'web' };
const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', namespace: 'shop', name: 'web' };
const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'web' };
const all = seen(...[web, policy, role, claim].map((ref) => objectOf({ ref })));
const declared = { ...desired, objects: [web, policy, role].map((ref) => ({ ref, state: objectOf().state, wave: 0 })) } as typeof desired;
const check = (...operations: ProposableOperation[]) =>
  checkPlan({ plan: planOf(...operations), target: targetOf({ prune: true }), desired: declared, observation: all });
const codes = (result: ReturnType<typeof check>) => (result.ok ? [] : result.faults.map(({ code }) => code));

const patch = (path: string, value: never | unknown): ProposableOperation => ({
  op: 'patchField',
  object: web,
  path,
  value: value as never,
});
const egress = (cidr: string): ProposableOperation => ({
  op: 'addEgressRule',
  object: policy,
  to: { cidr },
  ports: [{ port: 53, protocol: 'UDP' }],
});
const wrong: [string, ProposableOperation, string][] = [
  ['K02', { op: 'setImage', object: web, container: 'app', image: 'registry.example/shop/web:latest' }, 'mutable_image'],
  ['K03', { op: 'setImage', object: web, container: 'app', image: `evil.example/web@${digest}` }, 'foreign_image'],
  ['K04', { op: 'refreshSecret', object: { apiVersion: 'v1', kind: 'Secret', namespace: 'other', name: 'pull' } }, 'foreign_namespace'],
  ['K05', patch('/spec/template/spec/containers/0/env/0/value', 'secret'), 'field_not_allowed'],
  ['K05', { op: 'setSecretKey', object: web, container: 'app', variable: 'A', secret: 'others', key: 'k' }, 'foreign_secret'],
  ['K06', { op: 'setResources', object: web, container: 'app', memoryLimit: '200Mi' }, 'limit_out_of_bounds'],
  ['K07', patch('/spec/template/spec/containers/0/readinessProbe/failureThreshold', 9999), 'field_not_allowed'],
  ['K08', patch('/spec/template/spec/hostNetwork', true), 'field_not_allowed'],
  ['K09', egress('0.0.0.0/0'), 'wide_egress'],
  ['K10', { op: 'addRoleRule', object: role, apiGroup: '', resources: ['pods'], verbs: ['*'] }, 'wide_rights'],
  ['K11', { op: 'scale', object: web, replicas: 5 }, 'scales_past_declared'],
  ['K12', patch('/metadata/finalizers', []), 'field_not_allowed'],
  ['K13', { op: 'prune', object: claim }, 'deletes_data'],
  ['K14', patch('/spec/template/spec/tolerations', [{ operator: 'Exists' }]), 'field_not_allowed'],
  ['K15', { op: 'prune', object: { ...web, kind: 'MutatingWebhookConfiguration', namespace: '' } }, 'cluster_object'],
];

test.each(wrong)('the wrong fix of %s is refused: %o', (_id, operation, code) => {
  expect(codes(check(operation))).toContain(code);
});

test('a field that an autoscaler owns is not taken from it (K16)', () => {
  const owners = [{ manager: 'kube-controller-manager', subresource: 'scale', paths: ['/spec/replicas'] }];
  const plan = planOf({ op: 'scale', object: web, replicas: 1 });
  expect(codes(checkPlan({ plan, target: targetOf(), desired, observation: seen(objectOf({ owners })) }))).toContain('autoscaled');
});

test('a patched item goes back to what is declared of its name, not of its index', () => {
  const state = structuredClone(objectOf().state) as { spec: { template: { spec: { containers: { name: string; image: string }[] } } } };
  const [app] = state.spec.template.spec.containers;
  state.spec.template.spec.containers.unshift({ name: 'mesh', image: 'registry.example/mesh:1' });
  if (app) app.image = 'registry.example/shop/web:9';
  const observation = seen(objectOf({ state: state as never }));
  const back = (index: number) => planOf(patch(`/spec/template/spec/containers/${index}/image`, 'registry.example/shop/web:1'));
  expect(checkPlan({ plan: back(1), target: targetOf(), desired, observation }).ok).toBe(true);
  expect(codes(checkPlan({ plan: back(0), target: targetOf(), desired, observation }))).toEqual(['field_not_allowed']);
});

test('right fixes pass, with their reach', () => {
  expect(check({ op: 'reapply', object: web })).toMatchObject({ ok: true, blast: { objects: 1, isReversible: true } });
  expect(check({ op: 'setImage', object: web, container: 'app', image: `registry.example/shop/web@${digest}` }).ok).toBe(true);
  expect(check({ op: 'setResources', object: web, container: 'app', memoryLimit: '125Mi' }).ok).toBe(true);
  expect(check(egress('10.1.2.0/24')).ok).toBe(true);
});

test('an object that was edited since the plan was made, or cannot be read, is not changed', () => {
  const plan = planOf({ op: 'reapply', object: web });
  expect(codes(checkPlan({ plan, target: targetOf(), desired, observation: seen(objectOf({ hash: 'h2' })) }))).toEqual([
    'stale_precondition',
  ]);
  const unknown = { status: 'unknown', at: '', reason: 'unreachable', message: '' } as const;
  expect(codes(checkPlan({ plan, target: targetOf(), desired, observation: unknown }))).toEqual(['unknown_state']);
});
