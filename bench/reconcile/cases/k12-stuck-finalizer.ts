import type { DriftCase } from './drift-case.ts';
import { deploymentOf, imageOf, isAvailable, pathOf, readObject } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

const finalizer = 'bench.quarterdeck.dev/clean-up';
const operatorImage = (lane: { namespace: string }): string => imageOf(lane, 'operator');

/** The custom resource was deleted while the operator that cleans up after it does not run. */
export const stuckFinalizer: DriftCase = {
  id: 'K12',
  fault: 'a custom resource is stuck in deletion: who serves its finalizer is gone',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 }, [operatorImage(lane)]: { port: 8080, finalizer } }),
  declare: (lane) => {
    const operator = deploymentOf(lane, { image: operatorImage(lane) }, {}, { replicas: 1 }, 'operator');
    operator.metadata.annotations = { 'quarterdeck.dev/finalizer': finalizer };
    return [
      deploymentOf(lane),
      operator,
      { apiVersion: 'bench.quarterdeck.dev/v1', kind: 'Toolhost', metadata: { name: 'web' }, spec: { sessions: 3 } },
    ];
  },
  inject: async (lane) => {
    const { send, namespace } = lane;
    await send('DELETE', pathOf(namespace, 'Deployment', 'operator'));
    await send('DELETE', pathOf(namespace, 'Toolhost', 'web'));
  },
  seenAs: /^deleting Toolhost\//,
  shows: async (lane) => (await readObject(lane, 'Toolhost'))?.metadata.deletionTimestamp !== undefined,
  right: {
    ends: ['fixed'],
    operations: () => [{ op: 'reviveController', finalizer }],
    isWell: async (lane) => {
      const toolhost = await readObject(lane, 'Toolhost');
      return toolhost !== undefined && toolhost.metadata.deletionTimestamp === undefined && (await isAvailable(lane, 'operator'));
    },
  },
  wrong: (lane) => wrongClusterFix('K12', lane),
};
