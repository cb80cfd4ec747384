import { expect, test } from 'vitest';
import { createWritings } from '../../../activities/targets/kubernetes-writing.ts';
import { ReconcileTargetSpecSchema } from '../../../schema/resources/reconcile-target.ts';

const manifest = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { replicas: 2, template: { spec: { containers: [{ name: 'app', image: 'web:1', resources: { limits: { memory: '100Mi' } } }] } } },
};
const fieldsV1 = {
  'f:spec': {
    'f:replicas': {},
    'f:template': {
      'f:spec': { 'f:containers': { 'k:{"name":"app"}': { 'f:image': {}, 'f:resources': { 'f:limits': { 'f:memory': {} } } } } },
    },
  },
};
/** As it is after a fix raised its memory and somebody scaled it by hand. */
const live = () => {
  const object = structuredClone(manifest) as typeof manifest & { metadata: { managedFields?: object[]; resourceVersion?: string } };
  object.spec.replicas = 7;
  (object.spec.template.spec.containers[0] as { resources: { limits: { memory: string } } }).resources.limits.memory = '125Mi';
  object.metadata.resourceVersion = '9';
  object.metadata.managedFields = [{ manager: 'quarterdeck', operation: 'Apply', fieldsV1 }];
  return object;
};
const spec = ReconcileTargetSpecSchema.parse({ type: 'kubernetes', namespace: 'shop', manifests: [manifest] });

test('applying again leaves what a verified fix made other than declared, and puts back what stands beside it', async () => {
  if (spec.type !== 'kubernetes') throw new Error('no cluster');
  const writings = createWritings({ desired: { normalise: async () => manifest } as never, secrets: {} as never });
  const target = { org: 'default', project: 'default', name: 'shop', generation: 1, spec };
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
  const context = { connection: {} as never, operationId: 'op', readState: async () => undefined, signal: new AbortController().signal };
  const changesOf = async (accepted: { object: string; path: string }[]) => {
    const writing = await writings({ ...target, accepted }, { op: 'reapply', object }, live(), context);
    return writing.kind === 'write' ? writing.changes.map(({ path, after }) => [path, after]) : writing;
  };
  const memory = '/spec/template/spec/containers/0/resources/limits/memory';
  expect(await changesOf([])).toEqual([
    ['/spec/replicas', 2],
    [memory, '100Mi'],
  ]);
  expect(await changesOf([{ object: 'apps/Deployment/shop/web', path: memory }])).toEqual([['/spec/replicas', 2]]);
});
