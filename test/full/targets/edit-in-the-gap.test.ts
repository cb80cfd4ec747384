import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKubernetesTarget, type KubernetesTargetPort } from '../../../activities/targets/kubernetes-target.ts';
import { kubeconfigOf } from '../../../bench/reconcile/cluster/kubeconfig-of.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { adminToken, type KubeApiServer, startKubeApiServer } from '../../support/kube-api-server.ts';
import { applying, deployment, kubernetesTarget, objectIn, preconditionOf, settings } from '../../support/kube-target.ts';

let cluster: KubeApiServer;
let port: KubernetesTargetPort;
let kubeconfig: string;
beforeAll(async () => {
  cluster = await startKubeApiServer();
  kubeconfig = cluster.file('gap.kubeconfig', kubeconfigOf(cluster.apiUrl, cluster.ca(), adminToken));
  port = createKubernetesTarget({ secrets: { environment: {} } });
});
afterAll(async () => {
  await port?.close();
  await cluster?.close();
});

const signal = () => AbortSignal.timeout(60_000);
const groups: Record<string, [version: string, path: string, plural: string]> = {
  Deployment: ['apps/v1', '/apis/apps/v1', 'deployments'],
  ConfigMap: ['v1', '/api/v1', 'configmaps'],
  NetworkPolicy: ['networking.k8s.io/v1', '/apis/networking.k8s.io/v1', 'networkpolicies'],
  Role: ['rbac.authorization.k8s.io/v1', '/apis/rbac.authorization.k8s.io/v1', 'roles'],
};
const refOf = (namespace: string, kind: string, name = 'web') => ({ apiVersion: groups[kind]?.[0] ?? 'v1', kind, namespace, name });
const pathOf = (namespace: string, kind: string, name = '') =>
  `${groups[kind]?.[1]}/namespaces/${namespace}/${groups[kind]?.[2]}${name === '' ? '' : `/${name}`}`;

const manifests = [
  deployment(),
  { ...settings, metadata: { name: 'web' } },
  {
    ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'web' } },
    spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{ ports: [{ port: 5432, protocol: 'TCP' }] }] },
  },
  {
    ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'web' } },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }],
  },
];
const merge = 'application/merge-patch+json';

/** A namespace with all of these, applied; the Deployment was edited by hand, so that there is something to put back. */
const settle = async () => {
  const namespace = `gap-${randomBytes(4).toString('hex')}`;
  await cluster.send('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  const target = kubernetesTarget(namespace, kubeconfig, manifests);
  for (const { kind } of manifests)
    expect(await port.apply(target, { op: 'reapply', object: refOf(namespace, kind) }, applying(`make-${kind}`))).toMatchObject({
      kind: 'applied',
    });
  const spy = { spec: { template: { spec: { containers: [{ name: 'spy', image: 'spy:1' }] } } } };
  const path = `${pathOf(namespace, 'Deployment', 'web')}?fieldManager=kubectl-edit`;
  await cluster.send('PATCH', path, { spec: { replicas: 5 } }, merge);
  await cluster.send('PATCH', path, spy, 'application/strategic-merge-patch+json');
  return { namespace, target };
};

const container = { container: 'web' };
const cases: [string, string, (object: ReturnType<typeof refOf>) => Operation][] = [
  ['reapply', 'Deployment', (object) => ({ op: 'reapply', object })],
  ['setImage', 'Deployment', (object) => ({ op: 'setImage', object, ...container, image: 'registry.test/web:2' })],
  ['patchField', 'Deployment', (object) => ({ op: 'patchField', object, path: '/spec/progressDeadlineSeconds', value: 300 })],
  ['scale', 'Deployment', (object) => ({ op: 'scale', object, replicas: 1 })],
  ['restart', 'Deployment', (object) => ({ op: 'restart', object })],
  ['setResources', 'Deployment', (object) => ({ op: 'setResources', object, ...container, memoryLimit: '160Mi' })],
  ['setProbe', 'Deployment', (object) => ({ op: 'setProbe', object, ...container, probe: 'readiness', port: 9090 })],
  ['setSecretKey', 'Deployment', (object) => ({ op: 'setSecretKey', object, ...container, variable: 'T', secret: 's', key: 'k' })],
  ['removeUndeclared', 'Deployment', (object) => ({ op: 'removeUndeclared', object, paths: ['/spec/template/spec/containers/spy'] })],
  ['restore', 'Deployment', (object) => ({ op: 'restore', object, stateDigest: 'kept' })],
  [
    'addEgressRule',
    'NetworkPolicy',
    (object) => ({ op: 'addEgressRule', object, to: { cidr: '10.1.2.0/24' }, ports: [{ port: 53, protocol: 'UDP' }] }),
  ],
  ['addRoleRule', 'Role', (object) => ({ op: 'addRoleRule', object, apiGroup: '', resources: ['pods'], verbs: ['get'] })],
  ['prune', 'ConfigMap', (object) => ({ op: 'prune', object })],
];

const proven = new Set<string>();

test.each(cases)(
  'an edit right before the request of %s goes out is kept: the request itself names what it is of',
  async (op, kind, operationOf) => {
    const { namespace, target } = await settle();
    const object = refOf(namespace, kind);
    const asked = op === 'prune' ? kubernetesTarget(namespace, kubeconfig, [deployment()], { prune: true }) : target;
    const seen = objectIn(await port.observe(asked, signal()), kind, 'web');
    const path = pathOf(namespace, kind, 'web');
    let requests = 0;
    const outcome = await port.apply(asked, operationOf(object), {
      ...applying(op, preconditionOf(seen)),
      readState: async () => ({ ...(seen.state as object), spec: { ...deployment().spec, replicas: 2 } }),
      // it has been looked at and found as it was planned for; now somebody edits it
      holdsFence: async () => {
        requests += 1;
        await cluster.send('PATCH', `${path}?fieldManager=kubectl-edit`, { metadata: { labels: { edited: 'by-hand' } } }, merge);
        return true;
      },
    });
    expect(outcome).toMatchObject({ kind: 'failed', reason: 'precondition', message: expect.stringContaining('somebody changed it') });
    expect(requests, 'one was sent, and refused').toBe(1);
    const after = objectIn(await port.observe(asked, signal()), kind, 'web');
    const { metadata, ...rest } = after.state as { metadata: { labels: object } };
    const { metadata: before, ...was } = seen.state as { metadata: { labels: object } };
    expect(metadata.labels).toEqual({ ...before.labels, edited: 'by-hand' });
    expect(rest, 'and nothing else').toEqual(was);
    proven.add(op);
  },
);

test('what is removed as an undo is the very thing that was made, as it was left', async () => {
  const { namespace, target } = await settle();
  const object = refOf(namespace, 'ConfigMap');
  const seen = objectIn(await port.observe(target, signal()), 'ConfigMap', 'web');
  const path = pathOf(namespace, 'ConfigMap');
  const another = { ...settings, metadata: { name: 'web' }, data: { level: 'by-hand' } };
  const outcome = await port.apply(
    target,
    { op: 'remove', object, uid: seen.uid },
    {
      ...applying('remove', preconditionOf(seen)),
      holdsFence: async () => {
        await cluster.send('DELETE', `${path}/web`);
        await cluster.send('POST', path, another);
        return true;
      },
    },
  );
  expect(outcome).toMatchObject({ kind: 'failed', reason: 'precondition' });
  expect((await cluster.send('GET', `${path}/web`)).data).toEqual({ level: 'by-hand' });
});

test('what somebody makes right before it would be made keeps all that they wrote', async () => {
  const { namespace, target } = await settle();
  const object = refOf(namespace, 'ConfigMap');
  const path = pathOf(namespace, 'ConfigMap');
  await cluster.send('DELETE', `${path}/web`);
  const theirs = { metadata: { name: 'web' }, data: { level: 'by-hand', other: 'theirs' } };
  const outcome = await port.apply(
    target,
    { op: 'reapply', object },
    {
      ...applying('make', { kind: 'absent' }),
      holdsFence: async () => {
        await cluster.send('POST', `${path}?fieldManager=kubectl-create`, theirs);
        return true;
      },
    },
  );
  expect(outcome).toMatchObject({ kind: 'failed', reason: 'conflict' });
  const kept = await cluster.send('GET', `${path}/web`);
  expect([kept.data, kept.metadata.labels]).toEqual([theirs.data, undefined]);
});

test('an edit right before the request of any write goes out is kept', () => {
  expect([...proven].sort()).toEqual(cases.map(([op]) => op).sort());
});
