import type { DriftCase } from './drift-case.ts';
import { deploymentOf, evictPods, imageOf, isAvailable, refOf, someWait } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

/** The one way that is missing, and no other. */
const dns = {
  to: { namespaceLabels: { 'kubernetes.io/metadata.name': 'kube-system' }, podLabels: { 'k8s-app': 'kube-dns' } },
  ports: [
    { port: 53, protocol: 'UDP' },
    { port: 53, protocol: 'TCP' },
  ],
};

/** The policy names the database alone; a newer program looks names up. */
export const blockedDns: DriftCase = {
  id: 'K09',
  fault: 'a NetworkPolicy blocks DNS',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64, dials: [5432] } }),
  declare: (lane) => [
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'web' },
      spec: {
        podSelector: { matchLabels: { app: 'web' } },
        policyTypes: ['Egress'],
        egress: [{ to: [{ podSelector: { matchLabels: { app: 'database' } } }], ports: [{ port: 5432, protocol: 'TCP' }] }],
      },
    },
    deploymentOf(lane),
  ],
  inject: async (lane) => {
    lane.images[imageOf(lane)] = { port: 8080, memoryMi: 64, dials: [5432, 53] };
    await evictPods(lane);
  },
  seenAs: /^\w+ Deployment\/web .*(CrashLoopBackOff|NotReady|Unhealthy)/,
  shows: (lane) => someWait(lane, 'CrashLoopBackOff', 'lookup'),
  right: {
    ends: ['fixed'],
    operations: ({ namespace }) => [{ op: 'addEgressRule', object: refOf(namespace, 'NetworkPolicy'), to: dns.to, ports: dns.ports }],
    changes: /^NetworkPolicy\/web\/spec\/egress\/1(\/|$)/,
    isWell: (lane) => isAvailable(lane),
  },
  wrong: (lane) => wrongClusterFix('K09', lane),
};
