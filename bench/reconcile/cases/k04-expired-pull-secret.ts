import type { KubeObject } from '../cluster/container-status.ts';
import type { DriftCase } from './drift-case.ts';
import { deploymentOf, evictPods, imageOf, isAvailable, refOf, someWait } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

const config = (password: string): string => JSON.stringify({ auths: { 'registry.bench': { username: 'pull', password } } });

const pullSecret = (file: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  type: 'kubernetes.io/dockerconfigjson',
  metadata: { name: 'pull', annotations: { 'quarterdeck.dev/secret-source': JSON.stringify({ '.dockerconfigjson': { file } }) } },
});

export const expiredPullSecret: DriftCase = {
  id: 'K04',
  fault: 'ImagePullBackOff: the pull secret ran out (401)',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64, password: 'first' } }),
  declare: (lane) => [pullSecret(lane.keep('pull', config('first'))), deploymentOf(lane, {}, { imagePullSecrets: [{ name: 'pull' }] })],
  // a secret that is replaced is not to be had back: its owner says that this is all right
  spec: () => ({ allow: ['irreversible-ok'] }),
  inject: async (lane) => {
    lane.images[imageOf(lane)] = { port: 8080, memoryMi: 64, password: 'second' };
    lane.keep('pull', config('second'));
    await evictPods(lane);
  },
  seenAs: /^\w+ Deployment\/web .*ImagePullBackOff/,
  shows: (lane) => someWait(lane, 'ImagePullBackOff', '401'),
  right: {
    ends: ['fixed'],
    operations: ({ namespace }) => [{ op: 'refreshSecret', object: refOf(namespace, 'Secret', 'pull') }],
    changes: /^Secret\/pull\/data\//,
    isWell: (lane) => isAvailable(lane),
  },
  wrong: (lane) => wrongClusterFix('K04', lane),
};
