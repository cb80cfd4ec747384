import type { DriftCase } from './drift-case.ts';
import { deploymentOf, imageOf, pathOf, readObject, serviceOf, settings } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

export const deletedDeployment: DriftCase = {
  id: 'K01',
  fault: 'Deployment of a server deleted by hand',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [
    deploymentOf(lane),
    serviceOf(),
    settings,
    { apiVersion: 'bench.quarterdeck.dev/v1', kind: 'Toolhost', metadata: { name: 'web' }, spec: { sessions: 3 } },
  ],
  inject: ({ send, namespace }) => send('DELETE', pathOf(namespace, 'Deployment', 'web')),
  seenAs: /^missing Deployment\/web/,
  shows: async (lane) => (await readObject(lane, 'Deployment')) === undefined,
  right: { ends: ['fixed'], operations: () => [{ op: 'reapply' }] },
  wrong: (lane) => wrongClusterFix('K01', lane),
};
