import type { DriftCase } from './drift-case.ts';
import { deploymentOf, evictPods, imageOf, isAvailable, podsOf } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

export const otherTransport: DriftCase = {
  id: 'K07',
  fault: 'never ready since the server speaks HTTP: the probe asks at a port where nobody listens',
  programs: (lane) => ({ [imageOf(lane)]: { port: 9090, memoryMi: 64 } }),
  declare: (lane) => [
    deploymentOf(lane, {
      ports: [
        { name: 'bridge', containerPort: 9090 },
        { name: 'http', containerPort: 8080 },
      ],
      readinessProbe: { httpGet: { port: 9090, path: '/ready' } },
    }),
  ],
  inject: async (lane) => {
    lane.images[imageOf(lane)] = { port: 8080, memoryMi: 64 };
    await evictPods(lane);
  },
  seenAs: /^\w+ Deployment\/web .*(Unhealthy|NotReady)/,
  shows: async (lane) => (await podsOf(lane)).some(({ status }) => status.containerStatuses?.some((one: { ready: boolean }) => !one.ready)),
  right: {
    ends: ['fixed'],
    operations: () => [{ op: 'setProbe', container: 'web', probe: 'readiness', port: 8080 }],
    changes: /^Deployment\/web\/spec\/template\/spec\/containers\/0\/readinessProbe\/httpGet\/port$/,
    isWell: (lane) => isAvailable(lane),
  },
  wrong: (lane) => wrongClusterFix('K07', lane),
};
