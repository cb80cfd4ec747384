import type { DriftCase } from './drift-case.ts';
import { deploymentOf, imageOf, isAvailable, pathOf, readObject, serviceOf } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

/** A server over stdio behind a bridge keeps its sessions in itself: with a second pod they jump. */
export const tooManyReplicas: DriftCase = {
  id: 'K11',
  fault: 'a server without a store for its sessions runs three times',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [deploymentOf(lane, { args: ['--stdio'] }, {}, { replicas: 1 }), serviceOf()],
  inject: ({ send, namespace }) =>
    send(
      'PATCH',
      `${pathOf(namespace, 'Deployment', 'web')}/scale?fieldManager=kubectl`,
      { spec: { replicas: 3 } },
      'application/merge-patch+json',
    ),
  seenAs: /^changed Deployment\/web .*\/spec\/replicas/,
  shows: async (lane) => (await readObject(lane, 'Deployment'))?.spec.replicas === 3,
  right: {
    ends: ['fixed'],
    operations: () => [{ op: 'reapply' }],
    isWell: async (lane) => (await isAvailable(lane)) && (await readObject(lane, 'Deployment'))?.spec.replicas === 1,
  },
  wrong: (lane) => wrongClusterFix('K11', lane),
};
