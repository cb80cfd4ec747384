import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubernetesTarget } from '../../../activities/targets/kubernetes-connection.ts';
import { createKubernetesTarget, type KubernetesTargetPort } from '../../../activities/targets/kubernetes-target.ts';
import { KubernetesTargetSchema } from '../../../schema/resources/reconcile-target.ts';
import { adminToken, type KubeApiServer, startKubeApiServer } from '../../support/kube-api-server.ts';
import { applying, refOf } from '../../support/kube-target.ts';

/** The cluster that Quarterdeck runs in, by a service account that may do everything there. */
let cluster: KubeApiServer;
let port: KubernetesTargetPort;
let shared: KubernetesTargetPort;
const labels: Record<string, Record<string, string>> = {
  mine: { 'quarterdeck.dev/org': 'acme' },
  'mine-alone': { 'quarterdeck.dev/org': 'acme', 'quarterdeck.dev/project': 'lab' },
  'of-another-project': { 'quarterdeck.dev/org': 'acme', 'quarterdeck.dev/project': 'shop' },
  'of-another-org': { 'quarterdeck.dev/org': 'rival' },
  quarterdeck: {},
};

beforeAll(async () => {
  cluster = await startKubeApiServer();
  for (const [name, wanted] of Object.entries(labels))
    await cluster.send('POST', '/api/v1/namespaces', { metadata: { name, labels: wanted } });
  const ownCluster = { server: cluster.apiUrl, caFile: cluster.caFile, tokenFile: cluster.file('pod-token', adminToken) };
  port = createKubernetesTarget({ secrets: { environment: {} }, ownCluster });
  shared = createKubernetesTarget({ secrets: { environment: {} }, ownCluster, sharesLists: true });
});
afterAll(async () => {
  await port?.close();
  await shared?.close();
  await cluster?.close();
});

const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { level: 'info' } };
const target = (namespace: string, more: object = {}): KubernetesTarget => ({
  ...{ org: 'acme', project: 'lab', name: namespace, generation: 1 },
  spec: KubernetesTargetSchema.parse({ type: 'kubernetes', namespace, manifests: [settings], ...more }),
});
const signal = () => AbortSignal.timeout(30_000);
const reapply = (namespace: string, name = 'settings') => ({ op: 'reapply' as const, object: refOf(namespace, 'ConfigMap', name) });

describe('a target without a kubeconfig of its own', () => {
  test.each(['mine', 'mine-alone'])('is kept in a namespace that is labelled for it: %s', async (namespace) => {
    expect(await port.observe(target(namespace), signal())).toMatchObject({ status: 'read', objects: [] });
    expect(await shared.observe(target(namespace), signal())).toMatchObject({ status: 'read' });
    const outcome = await port.apply(target(namespace), reapply(namespace), applying(`${namespace}/1`, { kind: 'absent' }));
    expect(outcome).toMatchObject({ kind: 'applied' });
  });

  test.each(['of-another-project', 'of-another-org', 'quarterdeck', 'kube-system', 'not-there'])(
    'sees and changes nothing in one that is not: %s',
    async (namespace) => {
      const theirs = target(namespace);
      await shared.observe(target('mine'), signal()); // whose connection must not serve it
      for (const one of [port, shared]) {
        const seen = await one.observe(theirs, signal());
        expect(seen).toMatchObject({ status: 'unknown', reason: 'refused', message: expect.stringContaining('not labelled for acme/lab') });
        expect(await one.desired(theirs, signal())).toMatchObject({ status: 'unreadable' });
      }
      expect(await port.dryRun(theirs, reapply(namespace), signal())).toMatchObject({ ok: false, reason: 'refused' });
      const outcome = await port.apply(theirs, reapply(namespace), applying(`${namespace}/1`, { kind: 'absent' }));
      expect(outcome).toMatchObject({ kind: 'failed', reason: 'refused' });
      const there = namespace === 'not-there' ? [] : (await cluster.send('GET', `/api/v1/namespaces/${namespace}/configmaps`)).items;
      expect(there.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).not.toContain('settings');
    },
  );

  test('is refused whole where one of its namespaces is somebody else’s', async () => {
    const wide = target('mine', { namespaces: ['of-another-org'] });
    expect(await port.observe(wide, signal())).toMatchObject({ status: 'unknown', reason: 'refused' });
    expect(await port.apply(wide, reapply('mine', 'more'), applying('wide/1', { kind: 'absent' }))).toMatchObject({ reason: 'refused' });
  });
});
