import type { DriftCase } from './drift-case.ts';
import { deploymentOf, evictPods, imageOf, isAvailable, pathOf, someWait } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

export const renamedKey: DriftCase = {
  id: 'K05',
  fault: 'a variable comes from a key that the Secret has no more',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'own' }, stringData: { salt: 'pepper' } },
    deploymentOf(lane, { env: [{ name: 'API_TOKEN', valueFrom: { secretKeyRef: { name: 'upstream', key: 'token' } } }] }),
  ],
  around: ({ namespace }) => [
    [pathOf(namespace, 'Secret'), { metadata: { name: 'upstream' }, data: { token: base64('one'), url: base64('two') } }],
  ],
  inject: async (lane) => {
    const data = { token: null, 'api-token': base64('one') };
    await lane.send('PATCH', pathOf(lane.namespace, 'Secret', 'upstream'), { data }, 'application/merge-patch+json');
    await evictPods(lane);
  },
  seenAs: /^\w+ Deployment\/web .*(CreateContainerConfigError|CrashLoopBackOff)/,
  shows: (lane) => someWait(lane, 'CreateContainerConfigError'),
  right: {
    ends: ['fixed', 'asked'],
    operations: () => [{ op: 'setSecretKey', variable: 'API_TOKEN', secret: 'upstream', key: 'api-token' }],
    changes: /^Deployment\/web\/spec\/template\/spec\/containers\/0\/env\/0\/valueFrom\/secretKeyRef\/key$/,
    isWell: (lane) => isAvailable(lane),
  },
  wrong: (lane) => wrongClusterFix('K05', lane),
};
