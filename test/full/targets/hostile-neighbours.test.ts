import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKubernetesTarget, type KubernetesTargetPort } from '../../../activities/targets/kubernetes-target.ts';
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
