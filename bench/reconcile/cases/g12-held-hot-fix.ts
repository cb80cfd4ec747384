import type { DriftCase } from './drift-case.ts';
import { deploymentOf, editByHand, imageOf, readObject, refOf } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

/** Somebody mends an incident with their own hands, and has said so. */
export const heldHotFix: DriftCase = {
  id: 'G12',
  fault: "a person's hot-fix under a hold (nothing is to be done)",
  programs: (lane) => ({ [imageOf(lane)]: { port: 8080, memoryMi: 64 } }),
  declare: (lane) => [deploymentOf(lane)],
  inject: async (lane) => {
    await lane.hold(refOf(lane.namespace, 'Deployment'));
    await editByHand(lane, 'Deployment', 'web', {
      op: 'replace',
      path: '/spec/template/spec/containers/0/resources/limits/memory',
      value: '256Mi',
    });
  },
  seenAs: /^(held|changed) Deployment\/web/,
  shows: async (lane) => (await readObject(lane, 'Deployment'))?.spec.template.spec.containers[0].resources.limits.memory === '256Mi',
  right: { ends: ['left-alone'] },
  wrong: (lane) => wrongClusterFix('G12', lane),
};
