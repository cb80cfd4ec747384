import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKubernetesTarget, type KubernetesTargetPort } from '../../../activities/targets/kubernetes-target.ts';
import { kubeconfigOf } from '../../../bench/reconcile/cluster/kubeconfig-of.ts';
import { checkPlan } from '../../../reconcile/check-plan.ts';
import { chooseRule } from '../../../reconcile/choose-rule.ts';
import { diffTarget } from '../../../reconcile/diff-target.ts';
import { driftText } from '../../../reconcile/fix-text.ts';
import { makePlan } from '../../../reconcile/make-plan.ts';
import type { ProposableOperation } from '../../../schema/reconcile/operation.ts';
import { adminToken, type KubeApiServer, startKubeApiServer } from '../../support/kube-api-server.ts';
import { startInjector } from '../../support/kube-injector.ts';
import { applying, deployment, kubernetesTarget, preconditionOf } from '../../support/kube-target.ts';

let cluster: KubeApiServer;
let kubeconfig: string;
const ports: KubernetesTargetPort[] = [];
/** As a process that has just begun: it has asked the cluster nothing yet. */
const newPort = (): KubernetesTargetPort => {
  const port = createKubernetesTarget({ secrets: { environment: {} } });
  ports.push(port);
  return port;
};

beforeAll(async () => {
  cluster = await startKubeApiServer({ apiServerArgs: () => ['--allow-privileged=true'] });
  kubeconfig = cluster.file('undeclared.kubeconfig', kubeconfigOf(cluster.apiUrl, cluster.ca(), adminToken));
});
afterAll(async () => {
  await Promise.all(ports.map((port) => port.close()));
  await cluster?.close();
});

const container = '/spec/template/spec/containers';
const signal = () => AbortSignal.timeout(60_000);
const strategic = 'application/strategic-merge-patch+json';
const pods = (spec: object) => ({ spec: { template: { spec } } });
const inWeb = (more: object) => pods({ containers: [{ name: 'web', ...more }] });

/** A Deployment, declared and applied, in a namespace of its own. */
const settle = async (more: object = {}, manifests: object[] = [deployment()]) => {
  const namespace = `added-${randomBytes(4).toString('hex')}`;
  await cluster.send('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  const target = kubernetesTarget(namespace, kubeconfig, manifests, more);
  const port = newPort();
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: 'web' };
  expect(await port.apply(target, { op: 'reapply', object }, applying('make'))).toMatchObject({ kind: 'applied' });
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`;
  const edit = (patch: object, manager = 'kubectl-edit') => cluster.send('PATCH', `${path}?fieldManager=${manager}`, patch, strategic);
  const look = async (holds: { object: string; path: string; untilAt: string }[] = [], as = target, by = port) => {
    const [desired, observation] = [await by.desired(as, signal()), await by.observe(as, signal())];
    if (observation.status !== 'read') throw new Error(observation.message);
    return { desired, observation, ...diffTarget({ target: as, desired, observation, holds, now: Date.now() }) };
  };
  return { namespace, target, port, object, edit, look, live: () => cluster.send('GET', path) };
};
type Look = Awaited<ReturnType<Awaited<ReturnType<typeof settle>>['look']>>;
const added = ({ drifts }: Look) => drifts.filter(({ kind }) => kind === 'added').flatMap(({ fields }) => fields.map(({ path }) => path));

/** An object that holds nothing says nothing. */
const withoutEmpty = (spec: object): unknown =>
  JSON.parse(JSON.stringify(spec), (_, value) =>
    value !== null && typeof value === 'object' && Object.keys(value).length === 0 ? undefined : value,
  );

test('what the API server fills in by itself, at any kind of workload, is never taken for an addition', async () => {
  const { spec } = deployment();
  const { template } = spec;
  const once = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
  const hosts = { hostNetwork: true, serviceAccountName: 'robot', securityContext: {}, volumes: [{ name: 'tmp', emptyDir: {} }] };
  const claims = [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }];
  const rich = { ...template, spec: { ...hosts, ...template.spec, initContainers: [{ name: 'first', image: 'registry.test/web:1' }] } };
  const workloads = [
    deployment(),
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'rich' }, spec: { ...spec, template: rich } },
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'web' },
      spec: { ...spec, serviceName: 'web', volumeClaimTemplates: claims },
    },
    { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'web' }, spec: { selector: spec.selector, template } },
    { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'web' }, spec: { template: once } },
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'web' },
      spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: once } } },
    },
  ];
  const { port, target, look } = await settle({}, workloads);
  for (const { apiVersion, kind, metadata } of target.spec.manifests) {
    const object = { apiVersion, kind, namespace: target.spec.namespace, name: metadata.name };
    expect(await port.apply(target, { op: 'reapply', object }, applying(`make-${kind}-${metadata.name}`))).toMatchObject({
      kind: expect.stringMatching(/^(applied|unchanged)$/),
    });
  }
  const seen = await look();
  expect(seen.observation.objects.map(({ ref }) => ref.kind).sort()).toEqual(workloads.map(({ kind }) => kind).sort());
  expect(seen.drifts.filter(({ kind }) => kind !== 'unhealthy')).toEqual([]);
});

test.each([
  ['a container', pods({ containers: [{ name: 'spy', image: 'evil:1' }] }), [`${container}/spy`]],
  [
    'a container that begins before the others',
    pods({ initContainers: [{ name: 'spy', image: 'evil:1' }] }),
    ['/spec/template/spec/initContainers/spy'],
  ],
  [
    'a volume, and a mount of it in a declared container',
    pods({
      volumes: [{ name: 'host', hostPath: { path: '/' } }],
      containers: [{ name: 'web', volumeMounts: [{ name: 'host', mountPath: '/host' }] }],
    }),
    ['/spec/template/spec/volumes/host', `${container}/web/volumeMounts/~1host`],
  ],
  [
    'a variable of a declared container',
    inWeb({ env: [{ name: 'LD_PRELOAD', value: '/host/x.so' }] }),
    [`${container}/web/env/LD_PRELOAD`],
  ],
  ['all variables of a Secret', inWeb({ envFrom: [{ secretRef: { name: 'tokens' } }] }), [`${container}/web/envFrom`]],
  ['another command', inWeb({ command: ['sh', '-c', 'evil'] }), [`${container}/web/command`]],
  ['another service account', pods({ serviceAccountName: 'admin' }), ['/spec/template/spec/serviceAccountName']],
  [
    'the namespaces of the machine',
    pods({ hostNetwork: true, hostPID: true }),
    ['/spec/template/spec/hostNetwork', '/spec/template/spec/hostPID'],
  ],
  [
    'rights of a declared container',
    inWeb({ securityContext: { privileged: true, capabilities: { add: ['SYS_ADMIN'] } } }),
    [`${container}/web/securityContext/privileged`, `${container}/web/securityContext/capabilities/add`],
  ],
] as const)(
  '%s that somebody adds is a drift of its own, proposed to be taken away, taken away exactly, and put back exactly',
  async (_what, patch, paths) => {
    const { target, port, object, edit, look, live } = await settle();
    const before = (await live()).spec.template.spec;
    await edit(patch);
    const seen = await look();
    expect(added(seen)).toEqual(paths);
    expect(seen.drifts.filter(({ kind }) => kind === 'changed')).toEqual([]);
    const drift = seen.drifts.find(({ kind }) => kind === 'added');
    if (!drift) throw new Error('no drift');
    expect(driftText(drift)).toMatch(/written by kubectl-edit.*To let it stay.*\{ path: .*\} or \{ manager: kubectl-edit \}/);

    const facts = { target, drift, desired: seen.desired, observation: seen.observation, evidenceDigest: '' };
    const chosen = chooseRule({ ...facts, rules: [], fixes: [], now: Date.now() });
    expect(chosen).toEqual({ ok: true, rule: 'remove-undeclared', operations: [{ op: 'removeUndeclared', object, paths }] });
    if (!chosen.ok) throw new Error('no rule');
    const { operations } = chosen;
    const made = makePlan({ ...facts, operations, source: { kind: 'rule', rule: chosen.rule }, digest: (text) => text });
    if (!made.ok) throw new Error('no plan');
    expect(checkPlan({ ...facts, plan: made.plan })).toMatchObject({ ok: true, blast: { isReversible: true } });
    const [operation] = operations;
    const [was] = seen.observation.objects;
    if (!operation || !was) throw new Error('nothing to do');
    expect(await port.dryRun(target, operation, signal())).toMatchObject({ ok: true });
    expect(await port.apply(target, operation, applying('away', preconditionOf(was)))).toMatchObject({ kind: 'applied' });
    expect(withoutEmpty((await live()).spec.template.spec)).toEqual(withoutEmpty(before));
    expect((await look()).drifts.filter(({ kind }) => kind === 'added')).toEqual([]);
    const back = { op: 'restore', object, stateDigest: 'kept' } as const;
    expect(await port.apply(target, back, { ...applying('undo'), readState: async () => was.state })).toMatchObject({ hash: was.hash });
  },
);

test('an addition is told however its writer calls itself: by server-side apply, as an autoscaler, or as nobody', async () => {
  const { object, edit, look, live, namespace } = await settle();
  await cluster.send(
    'PATCH',
    `/apis/apps/v1/namespaces/${namespace}/deployments/web?fieldManager=vpa-updater`,
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, ...pods({ containers: [{ name: 'spy', image: 'evil:1' }] }) },
    'application/apply-patch+yaml',
  );
  expect(added(await look())).toEqual([`${container}/spy`]);
  await edit({ metadata: { managedFields: [{}] } });
  expect((await live()).metadata.managedFields ?? []).toEqual([]);
  const seen = await look();
  expect(added(seen)).toEqual([`${container}/spy`]);
  expect(driftText(seen.drifts.find(({ kind }) => kind === 'added') ?? (undefined as never))).toContain('nobody says by whom');
  expect(object.name).toBe('web');
});

test('what the target lets be, by its path, its name or its writer, and what people hold is no drift, and is not taken away', async () => {
  const { target, port, object, edit, look, live } = await settle();
  await edit(pods({ containers: [{ name: 'mesh', image: 'mesh:1' }] }), 'mesh-injector');
  const letting = (...ignore: object[]) => ({ ...target, spec: { ...target.spec, ignore: ignore as typeof target.spec.ignore } });
  const path = `${container}/mesh`;
  const index = (await live()).spec.template.spec.containers.findIndex(({ name }: { name: string }) => name === 'mesh');
  for (const rule of [
    { path },
    { path: `${container}/*` },
    { path: `${container}/${index}` },
    { manager: 'mesh-injector' },
    { path, manager: 'mesh-injector' },
  ])
    expect(added(await look([], letting(rule)))).toEqual([]);
  expect(added(await look([], letting({ manager: 'another' })))).toEqual([path]);
  expect(added(await look([], letting({ path: `${container}/web` })))).toEqual([path]);
  const held = await look([{ object: '', path, untilAt: '2100-01-01T00:00:00Z' }]);
  expect([added(held), held.conflicts]).toEqual([[], [{ object, path, manager: 'mesh-injector', why: 'held' }]]);
  // what is let be since the plan was made stays
  const operation: ProposableOperation = { op: 'removeUndeclared', object, paths: [path] };
  expect(await port.apply(letting({ path }), operation, applying('let'))).toMatchObject({ kind: 'failed', reason: 'conflict' });
  // and nobody hides behind a writer that is let be
  await edit(pods({ containers: [{ name: 'mesh', image: 'evil:1' }] }));
  expect(added(await look([], letting({ manager: 'mesh-injector' })))).toEqual([path]);
  expect((await live()).spec.template.spec.containers).toHaveLength(2);
});

test('only what somebody added is taken away: a plan that names what is declared, let be or not there is refused', async () => {
  const { target, object, edit, look } = await settle();
  await edit(pods({ containers: [{ name: 'spy', image: 'evil:1' }] }));
  const { desired, observation, drifts } = await look();
  const [drift] = drifts.filter(({ kind }) => kind === 'added');
  if (!drift) throw new Error('no drift');
  for (const path of [
    `${container}/web`,
    `${container}/none`,
    `${container}/web/image`,
    '/spec/template/spec/containers',
    '/metadata/labels',
  ])
    for (const paths of [[path], [`${container}/spy`, path]]) {
      const facts = { target, drift, desired, observation, evidenceDigest: '', digest: (text: string) => text };
      const made = makePlan({
        ...facts,
        operations: [{ op: 'removeUndeclared', object, paths }],
        source: { kind: 'person', person: 'olga' },
      });
      if (!made.ok) throw new Error('no plan');
      expect(checkPlan({ ...facts, plan: made.plan })).toMatchObject({ ok: false, faults: [{ code: 'field_not_allowed' }] });
    }
});

test('what we declared once and declare no more is taken away by applying again, and needs nobody', async () => {
  const env = [{ name: 'LEVEL', value: 'info' }];
  const { target, port, object, look, live } = await settle({}, [deployment({ env })]);
  const now = { ...target, spec: { ...target.spec, manifests: [deployment()] } };
  const { drifts, desired, observation } = await look([], now);
  expect(drifts.map(({ kind, fields }) => [kind, fields.map(({ path }) => path)])).toEqual([['changed', [`${container}/web/env/LEVEL`]]]);
  const [drift] = drifts;
  if (!drift) throw new Error('no drift');
  expect(chooseRule({ target: now, drift, desired, observation, rules: [], fixes: [], now: Date.now() })).toMatchObject({
    rule: 'reapply-declared',
  });
  expect(await port.apply(now, { op: 'reapply', object }, applying('dropped'))).toMatchObject({ kind: 'applied' });
  expect((await live()).spec.template.spec.containers[0].env).toBeUndefined();
  expect((await look([], now)).drifts).toEqual([]);
});

test('a restart by hand is respected: it is no drift, and what is put back beside it restarts nothing once more', async () => {
  const { target, port, object, edit, look, live } = await settle();
  const restartedAt = '2026-11-30T03:00:00Z';
  // as `kubectl rollout restart` does
  const annotations = { 'kubectl.kubernetes.io/restartedAt': restartedAt };
  await edit({ spec: { template: { metadata: { annotations } } } }, 'kubectl-rollout');
  const differs = ({ drifts }: Look) =>
    drifts.filter(({ kind }) => kind !== 'unhealthy').map(({ kind, fields }) => [kind, fields.map(({ path }) => path)]);
  expect(differs(await look())).toEqual([]);
  await edit({ spec: { replicas: 5 } });
  const before = await live();
  expect(differs(await look())).toEqual([['changed', ['/spec/replicas']]]);
  expect(await port.apply(target, { op: 'reapply', object }, applying('beside'))).toMatchObject({ kind: 'applied' });
  const after = await live();
  expect(after.spec.replicas).toBe(2);
  expect(after.spec.template, 'the same template: no pod is made anew').toEqual(before.spec.template);
  expect(after.spec.template.metadata.annotations).toEqual(annotations);
  expect(differs(await look())).toEqual([]);
});

test('what an injector adds at each admission is no drift where it is asked what it adds, and where it came later it is not fought over', async () => {
  const injector = await startInjector(cluster, { name: 'mesh', image: 'mesh:1' });
  try {
    const { namespace, target, port, object, look, live } = await settle();
    await injector.serve(namespace);
    expect(await port.apply(target, { op: 'restart', object }, applying('admitted'))).toMatchObject({ kind: 'applied' });
    expect((await live()).spec.template.spec.containers).toHaveLength(2);
    // who has asked the cluster before the injector was there asks people
    const late = await look();
    expect(added(late)).toEqual([`${container}/mesh`]);
    const removed = await port.apply(target, { op: 'removeUndeclared', object, paths: [`${container}/mesh`] }, applying('fought'));
    // the answer to the write says that it is written anew at once, so that an effect that does not show is no riddle
    expect(removed).toMatchObject({ kind: 'applied', rewritten: { paths: [`${container}/1`] } });
    expect(added(await look([], target, newPort()))).toEqual([]);
  } finally {
    await injector.close();
  }
});
