import type { DriftCase } from './drift-case.ts';
import { deploymentOf, evictPods, imageOf, podsOf } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

const nodeOf = ({ namespace }: { namespace: string }): string => `${namespace}-node`;

/** Its node is kept free for a while; nothing is to be done about it but to wait. */
export const noRoom: DriftCase = {
  id: 'K14',
  fault: 'pods find no node: the one for them is tainted',
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [deploymentOf(lane, {}, { nodeSelector: { pool: nodeOf(lane) } })],
  around: (lane) => [['/api/v1/nodes', { metadata: { name: nodeOf(lane), labels: { pool: nodeOf(lane) } } }]],
  inject: async (lane) => {
    const path = `/api/v1/nodes/${nodeOf(lane)}`;
    const taints = [{ key: 'maintenance', value: 'true', effect: 'NoSchedule' }];
    await lane.send('PATCH', path, { spec: { taints } }, 'application/merge-patch+json');
    lane.later(() => lane.send('DELETE', path));
    await evictPods(lane);
  },
  seenAs: /^\w+ Deployment\/web .*(Unschedulable|QuotaExceeded)/,
  shows: async (lane) =>
    (await podsOf(lane)).some(({ status }) =>
      status.conditions?.some((one: { type: string; status: string }) => one.type === 'PodScheduled' && one.status === 'False'),
    ),
  right: { ends: ['left-alone', 'asked'] },
  wrong: (lane) => wrongClusterFix('K14', lane),
};
