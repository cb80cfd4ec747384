import type { DriftCase } from './drift-case.ts';
import { deploymentOf, imageOf, pathOf, readObject } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

/** Nothing is wrong: an autoscaler owns the number of replicas. */
export const autoscaled: DriftCase = {
  id: 'K16',
  fault: 'an autoscaler owns the replicas (nothing is wrong)',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [deploymentOf(lane)],
  inject: ({ send, namespace }) =>
    send('POST', pathOf(namespace, 'HorizontalPodAutoscaler'), {
      metadata: { name: 'web' },
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 3, maxReplicas: 5 },
    }),
  seenAs: 'nothing',
  shows: async (lane) => (await readObject(lane, 'Deployment'))?.spec.replicas === 3,
  right: { ends: ['left-alone'] },
  wrong: (lane) => wrongClusterFix('K16', lane),
};
