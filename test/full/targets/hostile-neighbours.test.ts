import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKubernetesTarget, type KubernetesTargetPort } from '../../../activities/targets/kubernetes-target.ts';
import { checkPlan } from '../../../reconcile/check-plan.ts';
import { chooseRule } from '../../../reconcile/choose-rule.ts';
import { diffTarget } from '../../../reconcile/diff-target.ts';
import { makePlan } from '../../../reconcile/make-plan.ts';
import { KubernetesTargetSchema } from '../../../schema/resources/reconcile-target.ts';
import { adminToken, type KubeApiServer, startKubeApiServer } from '../../support/kube-api-server.ts';
import { applying } from '../../support/kube-target.ts';

let cluster: KubeApiServer;
let port: KubernetesTargetPort;
const namespace = 'shop';
const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { level: 'info' } };

beforeAll(async () => {
  cluster = await startKubeApiServer();
  await cluster.send('POST', '/api/v1/namespaces', { metadata: { name: namespace, labels: { 'quarterdeck.dev/org': 'acme' } } });
  const ownCluster = { server: cluster.apiUrl, caFile: cluster.caFile, tokenFile: cluster.file('pod-token', adminToken) };
  port = createKubernetesTarget({ secrets: { environment: {} }, ownCluster });
});
afterAll(async () => {
  await port?.close();
  await cluster?.close();
});

/** Somebody who may make pods in a namespace, and nothing else there. */
test('a pod of somebody else that is too large to be shown does not blind us to what is ours', async () => {
  const env = Array.from({ length: 4_000 }, (_, index) => ({ name: `FILLER_${index}`, value: 'x'.repeat(100) }));
  await cluster.send('POST', `/api/v1/namespaces/${namespace}/pods`, {
    metadata: { name: 'huge', labels: { app: 'theirs' } },
    spec: { containers: [{ name: 'filler', image: 'filler', env }] },
  });
  await cluster.send('POST', `/api/v1/namespaces/${namespace}/configmaps`, { ...settings, data: { level: 'debug' } });
  const observation = await port.observe(
    {
      ...{ org: 'acme', project: 'lab', name: 'shop', generation: 1 },
      spec: KubernetesTargetSchema.parse({ type: 'kubernetes', namespace, manifests: [settings] }),
    },
    AbortSignal.timeout(30_000),
  );
  expect(observation).toMatchObject({ status: 'read', objects: [{ ref: { name: 'settings' }, state: { data: { level: 'debug' } } }] });
  const huge = observation.status === 'read' ? observation.neighbours.find(({ ref }) => ref.name === 'huge') : undefined;
  expect(huge?.state).toEqual({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'huge', namespace } });
});

const filling = (index: number) => 'x'.repeat(index % 2 === 0 ? 900_000 : 900_001);

test('one object that is too large to be read, be it declared or forged as ours, is told by itself; the rest is compared, and nothing is made or deleted because of it', async () => {
  const place = `large-${randomBytes(3).toString('hex')}`;
  await cluster.send('POST', '/api/v1/namespaces', { metadata: { name: place, labels: { 'quarterdeck.dev/org': 'acme' } } });
  const [filled, well] = ['filled', 'well'].map((name) => ({ ...settings, metadata: { name } }));
  const target = {
    ...{ org: 'acme', project: 'lab', name: place, generation: 1 },
    spec: KubernetesTargetSchema.parse({ type: 'kubernetes', namespace: place, manifests: [filled, well], prune: true }),
  };
  const ref = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', namespace: place, name });
  for (const name of ['filled', 'well'])
    expect(await port.apply(target, { op: 'reapply', object: ref(name) }, applying(`make/${name}`))).toMatchObject({ kind: 'applied' });
  const path = `/api/v1/namespaces/${place}/configmaps`;
  const merge = 'application/merge-patch+json';
  await cluster.send('PATCH', `${path}/filled`, { data: { level: 'debug', filler: filling(0) } }, merge);
  await cluster.send('PATCH', `${path}/well`, { data: { level: 'debug' } }, merge);
  const label = (await cluster.send('GET', `${path}/well`)).metadata.labels;
  for (const [name, filler] of [
    ['forged', filling(1)],
    ['leftover', 'small'],
  ])
    await cluster.send(
      'PATCH',
      `${path}/${name}?fieldManager=quarterdeck`,
      { ...settings, metadata: { name, labels: label }, data: { filler } },
      'application/apply-patch+yaml',
    );
  // more of them than one answer holds
  for (let index = 0; index < 80; index += 1)
    await cluster.send('POST', path, { metadata: { name: `filler-${index}` }, data: { filler: filling(index) } });

  const signal = AbortSignal.timeout(60_000);
  const [desired, observation] = [await port.desired(target, signal), await port.observe(target, signal)];
  const { drifts, conflicts } = diffTarget({ target, desired, observation, holds: [], now: Date.now() });
  const told = drifts.map(({ kind, object, fields, symptoms }) => [kind, object.name, ...fields.map((one) => one.path), symptoms[0]?.code]);
  expect(told).toEqual([
    ['unhealthy', 'filled', 'Unreadable'],
    ['changed', 'well', '/data/level', undefined],
    ['extra', 'leftover', undefined],
  ]);
  expect(conflicts).toEqual([{ object: ref('forged'), path: '', manager: '', why: 'unreadable' }]);

  // and nobody plans anything for what nobody has read
  const drift = drifts[0];
  if (!drift) throw new Error('no drift');
  const facts = { target, drift, desired, observation };
  expect(chooseRule({ ...facts, rules: [], fixes: [], now: Date.now() })).toEqual({ ok: false, reason: 'no-rule' });
  const operations = [
    { op: 'reapply', object: ref('filled') },
    { op: 'prune', object: ref('forged') },
  ] as const;
  for (const operation of operations) {
    const made = makePlan({
      ...{ ...facts, operations: [operation], source: { kind: 'person', person: 'olga' }, evidenceDigest: '' },
      digest: (text) => String(text.length),
    });
    if (!made.ok) throw new Error('no plan');
    expect(checkPlan({ plan: made.plan, target, desired, observation })).toMatchObject({ ok: false, faults: [{ code: 'unknown_state' }] });
  }
});

/** A plan may call an object what it likes; it is asked for where objects are, and nowhere else. */
test.each([
  ['a version that leads up', { apiVersion: 'v1\\..\\..\\apis\\apps\\v1' }],
  ['a version that leads up, in slashes', { apiVersion: 'apps/../../api/v1' }],
  ['a version with a query', { apiVersion: 'v1?x=' }],
  ['a version with a fragment', { apiVersion: 'v1#' }],
  ['a name that leads up', { name: '..' }],
  ['a name that is the list', { name: '.' }],
  ['a name that leads up, written otherwise', { name: '%2e%2e' }],
  ['a name of another resource', { name: 'a/../../secrets/b' }],
])('%s is asked for nowhere', async (_what, change) => {
  const before = (await cluster.send('GET', '/metrics')) as string;
  const target = {
    ...{ org: 'acme', project: 'lab', name: 'shop', generation: 1 },
    spec: KubernetesTargetSchema.parse({ type: 'kubernetes', namespace, manifests: [settings] }),
  };
  const object = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'settings', ...change };
  const operation = { op: 'patchField' as const, object, path: '/data/level', value: 'info' };
  const dryRun = await port.dryRun(target, operation, AbortSignal.timeout(30_000));
  expect(dryRun).toMatchObject({
    ok: false,
    reason: 'invalid',
    message: expect.stringMatching(/is no (version of an API|name of an object)$/),
  });
  const outcome = await port.apply(target, operation, applying(`odd/${JSON.stringify(change)}`));
  expect(outcome).toMatchObject({ kind: 'failed', reason: 'invalid' });
  const notFound = (text: string) =>
    text.split('\n').filter((line) => line.startsWith('apiserver_request_total') && line.includes('code="404"'));
  expect(notFound((await cluster.send('GET', '/metrics')) as string)).toEqual(notFound(before));
});

/** What lies in no namespace reaches further than a target may, be it of a kind that nobody here has heard of. */
test.each([
  ['a RuntimeClass', 'runtimeclasses', { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', handler: 'evil' }],
  [
    'a policy for everybody’s admission',
    'validatingadmissionpolicies',
    {
      ...{ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicy' },
      spec: {
        matchConstraints: { resourceRules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'] }] },
        validations: [{ expression: 'false' }],
      },
    },
  ],
  [
    'a guarantee of the API server’s time',
    'flowschemas',
    {
      ...{ apiVersion: 'flowcontrol.apiserver.k8s.io/v1', kind: 'FlowSchema' },
      spec: { priorityLevelConfiguration: { name: 'exempt' }, matchingPrecedence: 1 },
    },
  ],
])('%s is not made by declaring it in a namespace', async (_what, plural, manifest) => {
  const target = {
    ...{ org: 'acme', project: 'lab', name: 'shop', generation: 1 },
    spec: KubernetesTargetSchema.parse({ type: 'kubernetes', namespace, manifests: [{ ...manifest, metadata: { name: 'mine' } }] }),
  };
  const { apiVersion, kind } = manifest;
  const operation = { op: 'reapply' as const, object: { apiVersion, kind, namespace, name: 'mine' } };
  const outcome = await port.apply(target, operation, applying(`wide/${kind}`));
  const there = (await cluster.send('GET', `/apis/${apiVersion}/${plural}`)).items;
  expect(there.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).not.toContain('mine');
  expect(outcome).toMatchObject({ kind: 'failed', message: expect.stringContaining('lies in no namespace') });
  expect(await port.desired(target, AbortSignal.timeout(30_000))).toMatchObject({ status: 'unreadable' });
});
