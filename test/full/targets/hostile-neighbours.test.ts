import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKubernetesTarget, type KubernetesTargetPort } from '../../../activities/targets/kubernetes-target.ts';
import { KubernetesTargetSchema } from '../../../schema/resources/reconcile-target.ts';
import { adminToken, type KubeApiServer, startKubeApiServer } from '../../support/kube-api-server.ts';

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
