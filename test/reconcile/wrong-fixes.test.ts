import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { playable } from '../../bench/reconcile/cases/not-run.ts';
import { wrongClusterFixes } from '../../bench/reconcile/wrong-fixes/cluster-fixes.ts';
import { wrongPlatformFixes } from '../../bench/reconcile/wrong-fixes/platform-fixes.ts';
import { decideFix } from '../../policy/decide-fix.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { checkPlan } from '../../reconcile/check-plan.ts';
import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { Desired, Observation, ObservedObject } from '../../schema/reconcile/observation.ts';
import { ProposableOperationSchema } from '../../schema/reconcile/operation.ts';
import type { PlanStep } from '../../schema/reconcile/plan.ts';
import { ReconcileTargetSpecSchema } from '../../schema/resources/reconcile-target.ts';
import { fixOf } from '../support/fix-to-decide.ts';
import { type SaidWrongFix, saidWrongFixes } from '../support/wrong-fix-places.ts';
import { objectOf, planOf, targetOf } from './support.ts';

const inShop = (kind: string, name = 'web', apiVersion = 'v1'): ObjectRef => ({ apiVersion, kind, namespace: 'shop', name });
const web = inShop('Deployment', 'web', 'apps/v1');
const service = inShop('Service');
const policy = inShop('NetworkPolicy', 'web', 'networking.k8s.io/v1');
const role = inShop('Role', 'web', 'rbac.authorization.k8s.io/v1');
const claim = inShop('PersistentVolumeClaim', 'data');
const deployment = {
  spec: {
    replicas: 2,
    template: {
      spec: {
        imagePullSecrets: [{ name: 'pull' }],
        containers: [
          {
            ...{ name: 'web', image: 'registry.example/shop/web:1', ports: [{ containerPort: 80 }] },
            resources: { limits: { memory: '100Mi' } },
            readinessProbe: { httpGet: { port: 80 }, failureThreshold: 3 },
            env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } }],
          },
        ],
      },
    },
  },
};
const scaled = { ...web, name: 'scaled' };
const held = { ...web, name: 'held' };
const states = new Map<ObjectRef, object>([
  [web, deployment],
  [scaled, deployment],
  [held, deployment],
  [service, { spec: { type: 'ClusterIP', selector: { app: 'web' } } }],
  [policy, { spec: { egress: [] } }],
  [role, { rules: [] }],
  [claim, { spec: { resources: { requests: { storage: '1Gi' } } } }],
]);
const seenOf = (ref: ObjectRef, state: object, more: Partial<ObservedObject> = {}) =>
  objectOf({ ref, state: structuredClone(state) as never, ...more });
const leftovers = ['McpServer', 'PersistentVolumeClaim'].map((kind) => seenOf({ ...service, kind, name: 'old' }, {}));
const cluster: Observation = {
  ...{ status: 'read', at: '', neighbours: [] },
  objects: [
    ...[...states].map(([ref, state]) =>
      seenOf(ref, state, ref === scaled ? { owners: [{ manager: 'keda', paths: ['/spec/replicas'] }] } : {}),
    ),
    ...leftovers,
  ],
};
const ours = (kind: string, name: string, namespace = '') => ({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, namespace, name });
const platform: Observation = {
  ...{ status: 'read', at: '', neighbours: [] },
  objects: [
    seenOf(ours('McpServer', 'files'), {}),
    seenOf(ours('Toolset', 'desk'), {}),
    seenOf(ours('PolicyBundle', 'default'), { lastGood: 'r2' }),
    seenOf(ours('PolicyBundle', 'broken'), { lastGood: 'r2' }, { symptoms: [{ code: 'PolicyInvalid', message: '', count: 1 }] }),
    seenOf(ours('SigningKeys', 'issuer'), {}),
    seenOf(ours('Agent', 'well', 'run_1'), {}),
    seenOf(ours('Agent', 'storming', 'run_1'), { callsPerMinute: 600 }, { symptoms: [{ code: 'CallerStorm', message: '', count: 40 }] }),
  ],
};
const declare = (entries: Iterable<[ObjectRef, object]>): Desired => ({
  ...{ status: 'read', digest: 'd' },
  objects: [...entries].map(([ref, state]) => ({ ref, state: state as never, wave: 0 })),
});
const declaredCluster = declare(states);
const declaredPlatform = declare(platform.status === 'read' ? platform.objects.map(({ ref }): [ObjectRef, object] => [ref, {}]) : []);
const holds = [{ object: 'apps/Deployment/shop/held', path: '', untilAt: '2027-01-01T00:00:00Z' }];

const said = saidWrongFixes;
const check = ({ operations, target: type }: SaidWrongFix) => {
  const isPlatform = type === 'platform';
  const [observation, desired] = isPlatform ? [platform, declaredPlatform] : [cluster, declaredCluster];
  const target = isPlatform ? { ...targetOf(), spec: ReconcileTargetSpecSchema.parse({ type: 'platform' }) } : targetOf({ prune: true });
  const plan = planOf(...operations);
  const known = new Set(observation.status === 'read' ? observation.objects.map(({ ref }) => JSON.stringify(ref)) : []);
  // as a plan is made: bound to what is seen
  const steps = plan.steps.map(
    (step): PlanStep => ({
      ...step,
      precondition: known.has(JSON.stringify(step.operation.object))
        ? { kind: 'version', version: '1', hash: 'h1', uid: 'u1' }
        : { kind: 'absent' },
    }),
  );
  return checkPlan({ plan: { ...plan, steps }, target, desired, observation, holds, now: Date.parse('2026-11-30T12:00:00Z') });
};

test('every fault that the bench runs has its wrong fix here', () => {
  expect([...new Set([...wrongClusterFixes, ...wrongPlatformFixes].map(({ fault }) => fault))].sort()).toEqual([...playable].sort());
});

test.each(said.filter((one) => one.check !== ''))('$fault: $says is refused ($check)', (wrong) => {
  for (const operation of wrong.operations) expect(ProposableOperationSchema.safeParse(operation).success).toBe(true);
  const checked = check(wrong);
  expect(checked.ok ? [] : checked.faults.map(({ code }) => code)).toContain(wrong.check);
});

test.each(said.filter((one) => one.check === ''))('$fault: $says can only be seen to be wrong by a person', (wrong) => {
  expect(wrong.policy).toBe('ask');
  expect(check(wrong)).toMatchObject({ ok: true });
});

test('almost all of them are blocked by what is checked, not because they cannot be said', () => {
  const blocked = new Set(said.filter((wrong) => !check(wrong).ok).map(({ fault }) => fault));
  const inexpressible = playable.filter((fault) => !blocked.has(fault));
  expect(inexpressible).toEqual(['G03']);
  expect(blocked.size).toBe(29);
});

test('policy, which does not rely on the checks, lets none of them through without a person, the holds and owners of fields aside', () => {
  const engine = createPolicyEngine({ name: 'wrong-fixes' });
  expect(engine.load({ org: 'default', project: 'default' }, { policySets: [], bindings: [] })).toEqual({ ok: true });
  const through = said.filter(({ operations, target }) => {
    const fix = fixOf([...operations], target === 'platform' ? { target: { type: 'platform' } } : {});
    return decideFix(engine, fix).kind === 'apply';
  });
  // what is asked of each is whether it leads back to what is declared; whose and of which kind it is only the checks can see
  expect(through.map(({ fault, check: code }) => `${fault} ${code}`).sort()).toEqual([
    'G01 unknown_object',
    'G01 wrong_kind',
    'G04 wrong_kind',
    'G08 unknown_object',
    'G12 held',
  ]);
});

test('every code that a plan is refused with has its sentence in docs/plan-faults.md', () => {
  const root = join(import.meta.dirname, '../..');
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  const sources = [
    ...['reconcile/check-plan.ts', 'reconcile/make-plan.ts', 'activities/reconcile-examine.ts'],
    ...readdirSync(join(root, 'reconcile/check')).map((name) => `reconcile/check/${name}`),
  ];
  const codes = sources.flatMap((path) =>
    [...read(path).matchAll(/(?:fault|whole|refuse|wide)\(\s*'([a-z_]+)'|code: '([a-z_]+)'/g)].map(([, one, other]) => one ?? other ?? ''),
  );
  const left = [
    'ignored',
    'held',
    'autoscaled',
    'owned_by_other',
    ...['changed', 'conflict', 'invalid', 'refused'].map((why) => `dry_run_${why}`),
  ];
  const written = [...read('docs/plan-faults.md').matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, code]) => code ?? '');
  expect(written).toEqual([...new Set([...codes, ...left])].sort());
});
