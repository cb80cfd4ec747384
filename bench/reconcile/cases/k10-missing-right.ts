import type { DriftCase } from './drift-case.ts';
import { deploymentOf, evictPods, imageOf, isAvailable, refOf, someWait } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

export const missingRight: DriftCase = {
  id: 'K10',
  fault: 'a new version of a tool needs a right that its role does not have (403)',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64, asks: [{ verb: 'get', group: '', resource: 'configmaps' }] } }),
  declare: (lane) => [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'web' } },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'web' },
      rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'web' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'web' },
      subjects: [{ kind: 'ServiceAccount', name: 'web', namespace: lane.namespace }],
    },
    deploymentOf(lane, {}, { serviceAccountName: 'web' }),
  ],
  inject: async (lane) => {
    const asks = ['get', 'list'].map((verb) => ({ verb, group: '', resource: 'configmaps' }));
    lane.images[imageOf(lane)] = { port: 8080, memoryMi: 64, asks };
    await evictPods(lane);
  },
  seenAs: /^\w+ Deployment\/web .*(CrashLoopBackOff|NotReady|Unhealthy|Forbidden)/,
  shows: (lane) => someWait(lane, 'CrashLoopBackOff', 'forbidden'),
  right: {
    ends: ['fixed'],
    operations: ({ namespace }) => [
      { op: 'addRoleRule', object: refOf(namespace, 'Role'), apiGroup: '', resources: ['configmaps'], verbs: ['list'] },
    ],
    changes: /^Role\/web\/rules\/1(\/|$)/,
    isWell: (lane) => isAvailable(lane),
  },
  wrong: (lane) => wrongClusterFix('K10', lane),
};
