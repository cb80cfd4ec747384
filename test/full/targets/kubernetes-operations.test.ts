import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKubernetesTarget, type KubernetesTargetPort } from '../../../activities/targets/kubernetes-target.ts';
import { defineToolhosts } from '../../../bench/reconcile/cluster/toolhost-definition.ts';
import type { Observation } from '../../../schema/reconcile/observation.ts';
import type { ProposableOperation } from '../../../schema/reconcile/operation.ts';
import { type KubeCluster, startKubeCluster } from '../../support/kube-cluster.ts';
import { applying, deployment, images, kubernetesTarget, objectIn, preconditionOf } from '../../support/kube-target.ts';
import { pollUntil } from '../../support/poll-until.ts';

const finalizer = 'bench.quarterdeck.dev/clean-up';
const clock = { aheadMs: 0 };
let cluster: KubeCluster;
let port: KubernetesTargetPort;
let kubeconfig: string;

beforeAll(async () => {
  cluster = await startKubeCluster({ ...images, 'registry.test/operator:1': { port: 8080, finalizer } });
  await defineToolhosts(cluster);
  kubeconfig = cluster.reconcilerKubeconfig('operations.kubeconfig');
  port = createKubernetesTarget({ secrets: { environment: {} }, now: () => new Date(Date.now() + clock.aheadMs) });
});
afterAll(async () => {
  await port?.close();
  await cluster?.close();
});

const signal = () => AbortSignal.timeout(60_000);
const groups: Record<string, string> = {
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  DaemonSet: 'apps/v1',
  Job: 'batch/v1',
  NetworkPolicy: 'networking.k8s.io/v1',
  Role: 'rbac.authorization.k8s.io/v1',
  Toolhost: 'bench.quarterdeck.dev/v1',
};
const ref = (namespace: string, kind: string, name: string) => ({ apiVersion: groups[kind] ?? 'v1', kind, namespace, name });
const claim = (name: string, storageClassName: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: '1Gi' } } },
});

/** A namespace with what is declared in it, applied. */
const settle = async (namespace: string, manifests: object[]) => {
  await cluster.openNamespace(namespace);
  const target = kubernetesTarget(namespace, kubeconfig, manifests);
  for (const { kind, metadata } of target.spec.manifests)
    expect(
      await port.apply(target, { op: 'reapply', object: ref(namespace, kind, metadata.name) }, applying(`make-${kind}`)),
    ).toMatchObject({
      kind: 'applied',
    });
  return target;
};
type Target = Awaited<ReturnType<typeof settle>>;
const look = (target: Target): Promise<Observation> => port.observe(target, signal());
const see = async (target: Target, kind: string, name = 'web') => objectIn(await look(target), kind, name);
const untilIs = (target: Target, kind: string, health: string, code?: string, name = 'web') =>
  pollUntil(
    async () => {
      const seen = await see(target, kind, name);
      return seen.health === health && (code === undefined || seen.symptoms.some((one) => one.code === code)) ? seen : undefined;
    },
    `${kind}/${name} to be ${health} ${code ?? ''}`,
  );

describe('operations on a real cluster', () => {
  test('a new claim of another class is made beside the old one, once, and is gone when it is undone', async () => {
    const target = await settle('claims', [claim('data', 'fast')]);
    const operation: ProposableOperation = {
      ...{ op: 'createClaim', object: ref('claims', 'PersistentVolumeClaim', 'data-2') },
      ...{ storageClass: 'standard', size: '2Gi', copyFrom: 'data' },
    };
    expect(await port.dryRun(target, operation, signal())).toMatchObject({ ok: true, diff: [{ path: '' }] });
    const outcome = await port.apply(target, operation, applying('claim', { kind: 'absent' }));
    expect(outcome).toMatchObject({ kind: 'applied' });
    expect(await port.apply(target, operation, applying('claim', { kind: 'absent' }))).toEqual({ ...outcome, at: expect.any(String) });
    const path = '/api/v1/namespaces/claims/persistentvolumeclaims';
    expect(await cluster.send('GET', `${path}/data-2`)).toMatchObject({
      spec: { storageClassName: 'standard', resources: { requests: { storage: '2Gi' } }, dataSource: { name: 'data' } },
    });
    expect(await port.apply(target, operation, applying('another', { kind: 'none' })), 'no claim is replaced').toMatchObject({
      kind: 'failed',
    });
    if (outcome.kind !== 'applied') throw new Error('not applied');
    const remove = { op: 'remove', object: operation.object, uid: outcome.uid } as const;
    expect(await port.apply(target, remove, applying('claim-undo'))).toMatchObject({ kind: 'applied' });
    await pollUntil(async () => ((await cluster.send('GET', path)).items.length === 1 ? true : undefined), 'the new claim to be gone');
    expect((await cluster.send('GET', `${path}/data`)).metadata.deletionTimestamp).toBeUndefined();
  });

  test('who serves a finalizer is brought back, and the object that waited for it goes by its hand', async () => {
    const operator = deployment({ name: 'operator', image: 'registry.test/operator:1' }, 'operator');
    operator.metadata.annotations = { 'quarterdeck.dev/finalizer': finalizer };
    const toolhost = { apiVersion: 'bench.quarterdeck.dev/v1', kind: 'Toolhost', metadata: { name: 'web' }, spec: { sessions: 1 } };
    const target = await settle('stuck', [operator, toolhost]);
    const path = '/apis/bench.quarterdeck.dev/v1/namespaces/stuck/toolhosts/web';
    await pollUntil(async () => (await cluster.send('GET', path)).metadata.finalizers?.includes(finalizer) || undefined, 'the finalizer');
    await cluster.send('DELETE', '/apis/apps/v1/namespaces/stuck/deployments/operator');
    await pollUntil(
      async () => ((await cluster.send('GET', '/api/v1/namespaces/stuck/pods')).items.length === 0 ? true : undefined),
      'no pods',
    );
    await cluster.send('DELETE', path);
    expect(await see(target, 'Toolhost')).toMatchObject({ health: 'progressing', deletingSince: expect.stringMatching(/^20/) });
    clock.aheadMs = 300_000;
    try {
      expect(await see(target, 'Toolhost')).toMatchObject({
        health: 'degraded',
        symptoms: [{ code: 'Terminating', message: expect.stringContaining(finalizer) }],
      });
    } finally {
      clock.aheadMs = 0;
    }
    const revive: ProposableOperation = { op: 'reviveController', object: ref('stuck', 'Toolhost', 'web'), finalizer };
    expect(await port.apply(target, { ...revive, finalizer: 'of/nobody' }, applying('nobody'))).toMatchObject({
      kind: 'failed',
      reason: 'invalid',
    });
    expect(await port.apply(target, revive, applying('revive'))).toMatchObject({ kind: 'applied' });
    await pollUntil(
      async () => {
        const seen = await look(target);
        return seen.status === 'read' && !seen.objects.some(({ ref: { kind } }) => kind === 'Toolhost') ? true : undefined;
      },
      'the custom resource to be gone',
      30_000,
    );
  });

  test('a Secret is filled anew from its source; going back leaves its values alone', async () => {
    const source = cluster.file('token', 'first');
    const secret = {
      ...{ apiVersion: 'v1', kind: 'Secret' },
      metadata: { name: 'web', annotations: { 'quarterdeck.dev/secret-source': JSON.stringify({ token: { file: source } }) } },
    };
    const target = await settle('secrets', [secret]);
    const tokenNow = async () =>
      Buffer.from((await cluster.send('GET', '/api/v1/namespaces/secrets/secrets/web')).data.token, 'base64').toString();
    expect(await tokenNow()).toBe('first');
    const before = await see(target, 'Secret');
    expect(JSON.stringify(before)).not.toContain(Buffer.from('first').toString('base64'));
    writeFileSync(source, 'second');
    const refresh: ProposableOperation = { op: 'refreshSecret', object: ref('secrets', 'Secret', 'web') };
    expect(await port.apply(target, refresh, applying('refresh', preconditionOf(before)))).toMatchObject({ kind: 'applied' });
    expect(await tokenNow()).toBe('second');
    await cluster.send(
      'PATCH',
      '/api/v1/namespaces/secrets/secrets/web?fieldManager=kubectl-edit',
      { metadata: { labels: { odd: 'yes' } } },
      'application/merge-patch+json',
    );
    const restore = { op: 'restore', object: refresh.object, stateDigest: 'kept' } as const;
    const context = { ...applying('undo'), readState: async () => before.state };
    expect(await port.apply(target, restore, context)).toMatchObject({ kind: 'applied' });
    const after = await see(target, 'Secret');
    expect(after.hash, 'as it was').toBe(before.hash);
    expect(await tokenNow(), 'values are kept by nobody, so they stay').toBe('second');
  });

  test.each([
    [
      'NetworkPolicy',
      { spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{ ports: [{ port: 5432, protocol: 'TCP' }] }] } },
      (object: ReturnType<typeof ref>): ProposableOperation => ({
        ...{ op: 'addEgressRule', object, to: { namespaceLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } },
        ports: [{ port: 53, protocol: 'UDP' }],
      }),
      '/spec/egress/1',
    ],
    [
      'Role',
      { rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }] },
      (object: ReturnType<typeof ref>): ProposableOperation => ({
        ...{ op: 'addRoleRule', object, apiGroup: '', resources: ['configmaps'], verbs: ['list'] },
      }),
      '/rules/1',
    ],
  ] as const)('a rule is added to a %s beside those that are there, and taken away exactly', async (kind, content, operationOf, path) => {
    const namespace = `adds-${kind.toLowerCase()}`;
    const target = await settle(namespace, [{ apiVersion: groups[kind], kind, metadata: { name: 'web' }, ...content }]);
    const operation = operationOf(ref(namespace, kind, 'web'));
    const before = await see(target, kind);
    const dry = await port.dryRun(target, operation, signal());
    expect(dry).toMatchObject({ ok: true, diff: [{ path }] });
    expect(await port.apply(target, operation, applying('add', preconditionOf(before)))).toMatchObject({ kind: 'applied' });
    expect((await see(target, kind)).hash).not.toBe(before.hash);
    const restore = { op: 'restore', object: operation.object, stateDigest: 'kept' } as const;
    const context = { ...applying('undo'), readState: async () => before.state };
    expect(await port.apply(target, restore, context)).toMatchObject({ kind: 'applied' });
    expect((await see(target, kind)).hash).toBe(before.hash);
  });
});

describe('how things are', () => {
  const template = (image = 'registry.test/web:1') => {
    const { spec } = deployment({ image });
    return { selector: spec.selector, template: spec.template };
  };
  const workload = (kind: string, image?: string, more: object = {}) => ({
    ...{ apiVersion: 'apps/v1', kind, metadata: { name: 'web' } },
    spec: { ...template(image), ...more },
  });

  test.each([
    ['StatefulSet', { serviceName: 'web', replicas: 1 }],
    ['DaemonSet', {}],
  ])('a %s is well when its pods are, and ill when they cannot come up', async (kind, more) => {
    const well = await settle(`well-${kind.toLowerCase()}`, [workload(kind, undefined, more)]);
    await untilIs(well, kind, 'healthy');
    const ill = await settle(`ill-${kind.toLowerCase()}`, [workload(kind, 'registry.test/none:1', more)]);
    await untilIs(ill, kind, 'degraded', 'ImagePullBackOff');
  });

  test('a Job is under way, and ill when its time is over', async () => {
    const { template: pod } = template();
    const job = (activeDeadlineSeconds: number) => ({
      ...{ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'web' } },
      spec: { activeDeadlineSeconds, template: { ...pod, spec: { ...pod.spec, restartPolicy: 'Never' } } },
    });
    await untilIs(await settle('job-runs', [job(600)]), 'Job', 'progressing');
    await untilIs(await settle('job-late', [job(1)]), 'Job', 'degraded', 'DeadlineExceeded');
  });

  test('a claim of a class that there is not is ill, with the reason', async () => {
    await untilIs(await settle('no-class', [claim('web', 'no-such-class')]), 'PersistentVolumeClaim', 'degraded', 'ProvisioningFailed');
  });

  test('a custom resource is as its conditions say, and well without any', async () => {
    const toolhost = { apiVersion: 'bench.quarterdeck.dev/v1', kind: 'Toolhost', metadata: { name: 'web' }, spec: { sessions: 1 } };
    const target = await settle('custom', [toolhost]);
    await untilIs(target, 'Toolhost', 'healthy');
    const condition = { type: 'Ready', status: 'False', reason: 'NoStore', message: 'no store of sessions' };
    await cluster.send(
      'PATCH',
      '/apis/bench.quarterdeck.dev/v1/namespaces/custom/toolhosts/web/status',
      { status: { conditions: [condition] } },
      'application/merge-patch+json',
    );
    await untilIs(target, 'Toolhost', 'degraded', 'NoStore');
  });
});
