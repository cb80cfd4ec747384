import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkPlan } from '../../reconcile/check-plan.ts';
import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { Desired, Observation } from '../../schema/reconcile/observation.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import { type Plan, PlanSchema, type PlanStep } from '../../schema/reconcile/plan.ts';
import { objectOf, planOf, targetOf } from './support.ts';

const runs = 10_000;
const hex = 'a'.repeat(64);
const inShop = (apiVersion: string, kind: string, name: string): ObjectRef => ({ apiVersion, kind, namespace: 'shop', name });
const web = inShop('apps/v1', 'Deployment', 'web');
const service = inShop('v1', 'Service', 'web');
const policy = inShop('networking.k8s.io/v1', 'NetworkPolicy', 'out');
const role = inShop('rbac.authorization.k8s.io/v1', 'Role', 'reader');
const claim = inShop('v1', 'PersistentVolumeClaim', 'data');
const settings = inShop('v1', 'ConfigMap', 'settings');
const leftover = inShop('v1', 'ConfigMap', 'old');
const leftoverClaim = inShop('v1', 'PersistentVolumeClaim', 'old');
const theirs = inShop('v1', 'ConfigMap', 'theirs');
const newClaim = inShop('v1', 'PersistentVolumeClaim', 'data-2');
const pull = inShop('v1', 'Secret', 'pull');
const keys = inShop('v1', 'Secret', 'keys');
const elsewhere = { ...web, namespace: 'bank' };
const node: ObjectRef = { apiVersion: 'v1', kind: 'Node', namespace: '', name: 'n1' };
const agent: ObjectRef = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Agent', namespace: 'run_1', name: 'a' };
const refs = [web, service, policy, role, claim, settings, leftover, leftoverClaim, theirs, newClaim, pull, keys, elsewhere, node, agent];

const deployment = (minReadySeconds: number) => ({
  spec: {
    ...{ replicas: 3, minReadySeconds },
    template: {
      metadata: { annotations: { rolled: `r${minReadySeconds}` } },
      spec: {
        imagePullSecrets: [{ name: 'pull' }],
        containers: [
          {
            ...{ name: 'app', image: 'registry.example/shop/web:1', ports: [{ containerPort: 80 }] },
            resources: { limits: { memory: '100Mi', cpu: '1' } },
            readinessProbe: { httpGet: { port: 80 } },
            env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } }],
          },
        ],
      },
    },
  },
});
/** As it is seen: somebody has added a container. */
const withSpy = () => {
  const { spec } = deployment(9);
  const pod = spec.template.spec;
  return {
    spec: { ...spec, template: { ...spec.template, spec: { ...pod, containers: [...pod.containers, { name: 'spy', image: 'evil' }] } } },
  };
};
const declaredStates: [ObjectRef, object][] = [
  [web, deployment(5)],
  [service, { spec: { selector: { app: 'web' } } }],
  [policy, { spec: { egress: [] } }],
  [role, { rules: [] }],
  [claim, { spec: { resources: { requests: { storage: '1Gi' } } } }],
  [settings, { data: { level: 'info' } }],
];
const desired: Desired = {
  ...{ status: 'read', digest: 'd' },
  objects: declaredStates.map(([ref, state]) => ({ ref, state: state as never, wave: 0 })),
};
const seenOf = (ref: ObjectRef, state: object, isOurs = true) => objectOf({ ref, state: state as never, isOurs });
const observation: Observation = {
  ...{ status: 'read', at: '' },
  objects: [
    ...declaredStates.map(([ref, state]) => seenOf(ref, ref === web ? withSpy() : state)),
    ...[leftover, leftoverClaim].map((ref) => seenOf(ref, {})),
  ],
  neighbours: [seenOf(keys, { data: { token: '', 'api-token': '' } }, false), seenOf(theirs, {}, false)],
};

const object = fc.constantFrom(...refs);
const of = <T extends ProposableOperation>(
  shape: { [K in keyof T]-?: fc.Arbitrary<Exclude<T[K], undefined>> },
  optional: (keyof T)[] = [],
) =>
  fc.record(shape as never, {
    requiredKeys: Object.keys(shape).filter((name) => !optional.includes(name as keyof T)) as never,
  }) as fc.Arbitrary<T>;
type Op<Name extends ProposableOperation['op']> = Extract<ProposableOperation, { op: Name }>;
const op = <Name extends ProposableOperation['op']>(name: Name) => fc.constant(name);
const container = fc.constantFrom('app', 'side');
const labels = fc.constantFrom(
  {},
  { 'kubernetes.io/metadata.name': 'shop' },
  { 'kubernetes.io/metadata.name': 'kube-system' },
  { team: 'all' },
);
const bare = (
  [
    'reapply',
    'restart',
    'refreshSecret',
    'prune',
    'nothing',
    'refreshTools',
    'rebuildRoute',
    'quarantineTool',
    'prefixNames',
    'reloadPolicies',
    'refetchKeys',
    'rotateCredential',
    'startAgent',
    'drainAgent',
    'suspendAgent',
    'restoreWorkers',
  ] as const
).map((name) => fc.record({ op: op(name), object }));
/** Every operation of the union, with values on both sides of each bound. */
const operation: fc.Arbitrary<ProposableOperation> = fc.oneof(
  ...bare,
  of<Op<'setImage'>>({
    ...{ op: op('setImage'), object: fc.constantFrom(web, web, service), container },
    image: fc.constantFrom(
      `registry.example/shop/web@sha256:${hex}`,
      `registry.example/shop/web:2@sha256:${hex}`,
      'registry.example/shop/web:2',
      `evil.example/shop/web@sha256:${hex}`,
      `registry.example/shop/web2@sha256:${hex}`,
    ),
  }),
  of<Op<'patchField'>>({
    ...{ op: op('patchField'), object: fc.constantFrom(web, web, settings, service) },
    path: fc.constantFrom(
      '/spec/replicas',
      '/spec/minReadySeconds',
      '/spec/progressDeadlineSeconds',
      '/spec/template/spec/containers/0/ports/0/containerPort',
      '/spec/template/spec/containers/0/image',
      '/metadata/finalizers',
      '/data/level',
      '/spec/template/spec/hostNetwork',
      '/spec/ports/0/targetPort',
    ),
    value: fc.constantFrom(0, 2, 3, 5, 80, 601, 3601, 8080, 70_000, 1.5, true, null, 'info', 'registry.example/shop/web:1', []),
  }),
  of<Op<'scale'>>({ op: op('scale'), object, replicas: fc.integer({ min: 0, max: 6 }) }),
  of<Op<'setResources'>>(
    {
      ...{ op: op('setResources'), object: fc.constantFrom(web, web, service), container },
      memoryLimit: fc.constantFrom('99Mi', '100Mi', '125Mi', '126Mi', '1Gi'),
      cpuLimit: fc.constantFrom('500m', '1', '1250m', '2'),
    },
    ['memoryLimit', 'cpuLimit'],
  ),
  of<Op<'setProbe'>>(
    {
      ...{ op: op('setProbe'), object: fc.constantFrom(web, service), container },
      ...{
        probe: fc.constantFrom('readiness', 'liveness', 'startup'),
        port: fc.constantFrom(80, 81),
        path: fc.constantFrom('/ready', '/'),
      },
    },
    ['path'],
  ),
  of<Op<'setSecretKey'>>({
    ...{ op: op('setSecretKey'), object: fc.constantFrom(web, web, service), container },
    ...{
      variable: fc.constantFrom('TOKEN', 'OTHER'),
      secret: fc.constantFrom('keys', 'pull'),
      key: fc.constantFrom('token', 'api-token', 'gone'),
    },
  }),
  of<Op<'addEgressRule'>>({
    ...{ op: op('addEgressRule'), object: fc.constantFrom(policy, policy, web) },
    to: fc.oneof(
      fc.record({
        cidr: fc.constantFrom(
          '10.1.2.0/24',
          '10.1.0.0/16',
          '0.0.0.0/0',
          '169.254.169.254/32',
          '2001:db8::/64',
          '::/0',
          'fe80::1/128',
          '10.0.0.300/32',
          '224.0.0.1/32',
        ),
      }),
      fc.record({ namespaceLabels: labels, podLabels: fc.constantFrom({}, { app: 'dns' }) }, { requiredKeys: ['namespaceLabels'] }),
    ) as never,
    ports: fc.constant([{ port: 53, protocol: 'UDP' as const }]),
  }),
  of<Op<'addRoleRule'>>({
    ...{
      op: op('addRoleRule'),
      object: fc.constantFrom(role, role, { ...role, kind: 'ClusterRole' }),
      resourceNames: fc.constantFrom([], ['one']),
    },
    apiGroup: fc.constantFrom('', 'apps', '*', 'rbac.authorization.k8s.io'),
    resources: fc.subarray(['configmaps', 'pods', 'secrets', 'pods/exec', '*'], { minLength: 1, maxLength: 2 }),
    verbs: fc.subarray(['get', 'list', 'create', 'delete', '*', 'bind'], { minLength: 1, maxLength: 2 }),
  }),
  of<Op<'createClaim'>>({
    ...{ op: op('createClaim'), object: fc.constantFrom(newClaim, newClaim, claim, leftoverClaim, { ...newClaim, namespace: 'bank' }) },
    ...{
      storageClass: fc.constant('fast'),
      size: fc.constantFrom('512Mi', '1Gi', '2Gi', '3Gi'),
      copyFrom: fc.constantFrom('data', 'old', 'data-2'),
    },
  }),
  of<Op<'reviveController'>>({ op: op('reviveController'), object, finalizer: fc.constant('made.up/clean') }),
  of<Op<'addIgnoreRule'>>(
    {
      op: op('addIgnoreRule'),
      object: fc.constantFrom(web, settings),
      path: fc.constantFrom(
        '/spec/template/metadata/annotations/rolled',
        '/spec/minReadySeconds',
        '/spec/replicas',
        '/spec',
        '/metadata/labels/a',
        '/spec/template/spec/containers/0/image',
      ),
      manager: fc.constant('hook'),
    },
    ['manager'],
  ),
  of<Op<'removeUndeclared'>>({
    ...{ op: op('removeUndeclared'), object: fc.constantFrom(web, settings, elsewhere) },
    paths: fc.array(
      fc.constantFrom(
        ...['app', 'spy', 'none', 'spy/image'].map((name) => `/spec/template/spec/containers/${name}`),
        ...['/spec/template/spec/containers', '/spec/template/spec/containers/1', '/spec/replicas', '/metadata/labels'],
      ),
      { minLength: 1, maxLength: 2 },
    ),
  }),
  of<Op<'wait'>>({ op: op('wait'), object, seconds: fc.integer({ min: 1, max: 600 }) }),
  of<Op<'askOwner'>>({ op: op('askOwner'), object, question: fc.constant('Which?') }),
  of<Op<'limitRate'>>({ op: op('limitRate'), object, callsPerMinute: fc.constantFrom(1, 1000) }),
  of<Op<'restorePolicies'>>({ op: op('restorePolicies'), object, revision: fc.constant('r1') }),
  of<Op<'act'>>({ op: op('act'), object, action: fc.constant('reset' as never) }),
);

const same = (one: ObjectRef, ...others: ObjectRef[]): boolean => others.some((other) => JSON.stringify(one) === JSON.stringify(other));
const declared = [web, service, policy, role, claim, settings];
const ofTarget = [...declared, leftover, leftoverClaim];
/** All that may be done in this one world, said case by case and in words of its own: an oracle that shares no code with the checker. */
const mayBeDone = (one: ProposableOperation): boolean => {
  switch (one.op) {
    case 'nothing':
    case 'wait':
    case 'askOwner':
      return same(one.object, ...ofTarget);
    case 'reapply':
      return same(one.object, ...declared);
    case 'restart':
      return same(one.object, web);
    case 'prune':
      return same(one.object, leftover);
    case 'refreshSecret':
      return same(one.object, pull, keys);
    case 'setImage':
      return same(one.object, web) && one.container === 'app' && /^registry\.example\/shop\/web(:2)?@sha256:a{64}$/.test(one.image);
    case 'scale':
      return same(one.object, web) && [1, 2, 3].includes(one.replicas);
    case 'setResources':
      return (
        same(one.object, web) &&
        one.container === 'app' &&
        (one.memoryLimit !== undefined || one.cpuLimit !== undefined) &&
        ['100Mi', '125Mi', undefined].includes(one.memoryLimit) &&
        ['1', '1250m', undefined].includes(one.cpuLimit)
      );
    case 'setProbe':
      return same(one.object, web) && one.container === 'app' && one.probe === 'readiness' && one.port === 80;
    case 'setSecretKey':
      return same(one.object, web) && one.container === 'app' && one.variable === 'TOKEN' && one.secret === 'keys' && one.key !== 'gone';
    case 'addEgressRule': {
      if (!same(one.object, policy)) return false;
      if ('cidr' in one.to) return ['10.1.2.0/24', '2001:db8::/64'].includes(one.to.cidr);
      const { namespaceLabels, podLabels = {} } = one.to as { namespaceLabels: Record<string, string>; podLabels?: Record<string, string> };
      const name = namespaceLabels['kubernetes.io/metadata.name'];
      return name === 'shop' || (name === 'kube-system' && podLabels.app === 'dns');
    }
    case 'addRoleRule': {
      const isGroup = one.apiGroup === '' || one.apiGroup === 'apps';
      const reads = one.verbs.every((verb) => ['get', 'list'].includes(verb));
      const writes = one.verbs.every((verb) => ['get', 'list', 'create'].includes(verb));
      const things = one.resources.every((name) => (reads ? ['configmaps', 'pods'] : ['configmaps']).includes(name));
      return same(one.object, role) && isGroup && (reads || writes) && things && one.resourceNames?.length !== 0;
    }
    case 'createClaim':
      return same(one.object, newClaim) && one.copyFrom === 'data' && ['1Gi', '2Gi'].includes(one.size);
    case 'removeUndeclared':
      return same(one.object, web) && one.paths.every((path) => path === '/spec/template/spec/containers/spy');
    case 'addIgnoreRule':
      return same(one.object, web) && one.path === '/spec/template/metadata/annotations/rolled';
    case 'patchField': {
      const { path, value } = one;
      const isNumber = typeof value === 'number' && Number.isInteger(value);
      if (same(one.object, settings)) return path === '/data/level' && value === 'info';
      if (same(one.object, service)) return path === '/spec/ports/0/targetPort' && isNumber && value >= 1 && value <= 65_535;
      if (path === '/spec/replicas') return value === 3;
      if (path === '/spec/minReadySeconds') return isNumber && value >= 0 && value <= 600;
      if (path === '/spec/progressDeadlineSeconds') return isNumber && value >= 60 && value <= 3600;
      if (path.endsWith('/containerPort')) return isNumber && value >= 1 && value <= 65_535;
      return path.endsWith('/image') && value === 'registry.example/shop/web:1';
    }
    default:
      return false; // of another kind of target, or with nothing here that it could be about
  }
};

const isPassive = ({ op: name }: ProposableOperation): boolean => ['nothing', 'wait', 'askOwner'].includes(name);
const maySteps = (steps: readonly ProposableOperation[]): boolean => {
  const acting = steps.filter((one) => !isPassive(one));
  const names = acting.map((one) => JSON.stringify(one.object));
  const written = acting.filter((one) => one.op !== 'addIgnoreRule').map((one) => JSON.stringify(one.object));
  const distinct = new Set(names).size;
  // of eight objects half is four; one object alone is always allowed
  return steps.every(mayBeDone) && new Set(written).size === written.length && distinct <= 4;
};

/** A plan as code would make it of operations. */
const planFor = (operations: readonly ProposableOperation[]): Plan => ({
  ...planOf(...operations),
  steps: operations.map((one): PlanStep => {
    const isSeen = same(one.object, ...ofTarget);
    return {
      operation: one,
      precondition: isPassive(one)
        ? { kind: 'none' }
        : isSeen
          ? { kind: 'version', version: '1', hash: 'h1', uid: 'u1' }
          : { kind: 'absent' },
      undo: { kind: 'restore', stateDigest: 's' },
      ...{ expected: '', deadlineSeconds: 60 },
    };
  }),
});
const check = (plan: Plan) => checkPlan({ plan, target: targetOf({ prune: true }), desired, observation });
const operations = fc.oneof(
  { arbitrary: fc.tuple(operation), weight: 3 },
  { arbitrary: fc.array(operation, { minLength: 2, maxLength: 8 }), weight: 2 },
);

test('of 10,000 random plans exactly those of the allowed set pass', () => {
  const passed = new Map<string, number>();
  fc.assert(
    fc.property(operations, (steps) => {
      const plan = planFor(steps);
      expect(PlanSchema.safeParse(plan).success).toBe(true);
      const checked = check(plan);
      expect([checked.ok, steps]).toEqual([maySteps(steps), steps]);
      if (checked.ok) for (const one of steps) passed.set(one.op, (passed.get(one.op) ?? 0) + 1);
    }),
    { numRuns: runs, seed: 608 },
  );
  // nearly each kind of operation on a cluster was seen to pass, so that the oracle is not true of nothing
  expect([...passed.keys()].length).toBeGreaterThanOrEqual(16);
});

/** What may go wrong between the making of a plan and its check, or be done to it by somebody. */
const tamper: readonly ((plan: Plan) => unknown)[] = [
  (plan) => ({ ...plan, target: 'other' }),
  (plan) => ({ ...plan, org: 'other' }),
  (plan) => ({ ...plan, generation: plan.generation + 1 }),
  (plan) => ({ ...plan, steps: [] }),
  (plan) => ({ ...plan, steps: [...plan.steps, ...plan.steps, ...Array.from({ length: 9 }, () => plan.steps[0])] }),
  (plan) => ({ ...plan, extra: 'member' }),
  (plan) => ({ ...plan, steps: plan.steps.map((step) => ({ ...step, operation: { ...step.operation, command: 'rm -rf /' } })) }),
  (plan) => ({ ...plan, steps: plan.steps.map((step) => ({ ...step, operation: { ...step.operation, op: 'kubectl' } })) }),
  (plan) => ({ ...plan, steps: plan.steps.map((step) => ({ ...step, deadlineSeconds: 0 })) }),
];
const tamperActing: readonly ((step: PlanStep) => PlanStep)[] = [
  (step) => ({ ...step, precondition: { kind: 'none' } }),
  (step) => ({ ...step, precondition: { kind: 'version', version: '1', hash: 'another', uid: 'u1' } }),
  (step) => ({ ...step, precondition: { kind: 'version', version: '1', hash: 'h1', uid: 'another' } }),
  (step) => ({ ...step, undo: { kind: 'irreversible', stateDigest: '' } }),
  (step) => ({ ...step, operation: { ...step.operation, object: { ...step.operation.object, namespace: 'kube-system' } } }),
];

test('a plan that would pass and was tampered with does not', () => {
  const good = operations.filter((steps) => maySteps(steps) && steps.some((one) => !isPassive(one)));
  fc.assert(
    fc.property(good, fc.constantFrom(...tamper), fc.constantFrom(...tamperActing), fc.boolean(), (steps, whole, ofStep, isWhole) => {
      const plan = planFor(steps);
      expect(check(plan).ok).toBe(true);
      const changed = isWhole
        ? whole(plan)
        : { ...plan, steps: plan.steps.map((step) => (isPassive(step.operation) ? step : ofStep(step))) };
      expect(check(changed as Plan).ok).toBe(false);
    }),
    { numRuns: 1000, seed: 608 },
  );
});
