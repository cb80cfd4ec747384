import type { DriftCase } from './drift-case.ts';
import { deploymentOf, imageOf, readObject, settings } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

const claim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data' },
  spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'fast-ssd', resources: { requests: { storage: '1Gi' } } },
};

/** What a claim says cannot be changed; another one can be made, and somebody has to say that the data may be copied. */
export const wrongStorageClass: DriftCase = {
  id: 'K13',
  fault: 'a claim waits for a class of storage that there is not',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [deploymentOf(lane), settings],
  // what does not come up is not waited for long
  spec: () => ({ verification: { timeoutSeconds: 5, holdSeconds: 1 } }),
  inject: (lane) => lane.redeclare([deploymentOf(lane), settings, claim]),
  seenAs: /^\w+ PersistentVolumeClaim\//,
  shows: async (lane) => (await readObject(lane, 'PersistentVolumeClaim', 'data'))?.status?.phase === 'Pending',
  // without that rule the claim would never be made, and nothing would be wrong with it
  keepsRules: ['reapply-declared'],
  right: { ends: ['asked'] },
  wrong: (lane) => wrongClusterFix('K13', lane),
};
