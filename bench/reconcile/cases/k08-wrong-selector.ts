import type { DriftCase } from './drift-case.ts';
import { deploymentOf, editByHand, imageOf, readObject, serviceOf } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

export const wrongSelector: DriftCase = {
  id: 'K08',
  fault: 'a Service that selects nobody',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [deploymentOf(lane), serviceOf()],
  // who writes endpoints waits longer and longer when a Service changes twice in a moment
  spec: () => ({ verification: { timeoutSeconds: 30, holdSeconds: 1 } }),
  inject: (lane) =>
    editByHand(
      lane,
      'Service',
      'web',
      { op: 'replace', path: '/spec/selector/app', value: 'wep' },
      { op: 'replace', path: '/spec/ports/0/targetPort', value: 8081 },
    ),
  seenAs: /^\w+ Service\/web .*\/spec\/selector/,
  shows: async (lane) => (await readObject(lane, 'Service'))?.spec.selector.app === 'wep',
  right: {
    ends: ['fixed'],
    operations: () => [{ op: 'reapply' }],
    isWell: async (lane) => {
      const { spec } = (await readObject(lane, 'Service')) ?? {};
      return spec?.selector.app === 'web' && spec.ports[0].targetPort === 8080;
    },
  },
  wrong: (lane) => wrongClusterFix('K08', lane),
};
