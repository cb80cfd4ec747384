import type { DriftCase } from './drift-case.ts';
import { deploymentOf, evictPods, imageOf, isAvailable, someWait } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

export const outOfMemory: DriftCase = {
  id: 'K06',
  fault: 'OOMKilled again and again',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [deploymentOf(lane), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { level: 'info' } }],
  inject: async (lane) => {
    lane.images[imageOf(lane)] = { port: 8080, memoryMi: 150 };
    await evictPods(lane);
  },
  seenAs: /^\w+ Deployment\/web .*OOMKilled/,
  shows: (lane) => someWait(lane, 'OOMKilled'),
  right: {
    ends: ['fixed'],
    operations: () => [{ op: 'setResources', container: 'web', memoryLimit: '160Mi' }],
    changes: /^Deployment\/web\/spec\/template\/spec\/containers\/0\/resources\/limits\/memory$/,
    isWell: (lane) => isAvailable(lane),
  },
  wrong: (lane) => wrongClusterFix('K06', lane),
};
