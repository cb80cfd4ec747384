import type { DriftCase } from './drift-case.ts';
import { deploymentOf, evictPods, imageOf, isAvailable, repositoryOf, someWait } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

const lost = (lane: { namespace: string }): string => `${repositoryOf(lane)}:2.0`;

/** What ran before still runs beside it, by its digest: that is the last that is known to be good. */
export const lostTag: DriftCase = {
  id: 'K03',
  fault: 'ImagePullBackOff: the declared tag is not there',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 }, [lost(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [deploymentOf(lane, { image: lost(lane) })],
  around: (lane) => [
    [
      `/apis/apps/v1/namespaces/${lane.namespace}/deployments`,
      deploymentOf(lane, { image: imageOf(lane) }, {}, { replicas: 1 }, 'web-before'),
    ],
  ],
  inject: async (lane) => {
    delete lane.images[lost(lane)];
    await evictPods(lane);
  },
  seenAs: /^\w+ Deployment\/web .*ImagePullBackOff/,
  shows: (lane) => someWait(lane, 'ImagePullBackOff'),
  right: {
    ends: ['fixed'],
    operations: (lane) => [{ op: 'setImage', container: 'web', image: imageOf(lane) }],
    changes: /^Deployment\/web\/spec\/template\/spec\/containers\/0\/image$/,
    isWell: (lane) => isAvailable(lane),
  },
  wrong: (lane) => wrongClusterFix('K03', lane),
};
