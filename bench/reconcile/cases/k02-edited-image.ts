import type { DriftCase } from './drift-case.ts';
import { deploymentOf, editByHand, imageOf, isAvailable, readObject, repositoryOf, serviceOf } from './manifests.ts';
import { wrongClusterFix } from './wrong-cluster-fix.ts';

const image = '/spec/template/spec/containers/0/image';

export const editedImage: DriftCase = {
  id: 'K02',
  fault: 'image edited live to another tag',
  programs: (lane) => ({
    [imageOf(lane)]: { port: 8080, memoryMi: 64 },
    [`${repositoryOf(lane)}:debug`]: { port: 8080, memoryMi: 64 },
  }),
  declare: (lane) => [deploymentOf(lane), serviceOf()],
  inject: (lane) => editByHand(lane, 'Deployment', 'web', { op: 'replace', path: image, value: `${repositoryOf(lane)}:debug` }),
  seenAs: /^changed Deployment\/web .*\/image\b/,
  shows: async (lane) => (await readObject(lane, 'Deployment'))?.spec.template.spec.containers[0].image.endsWith(':debug') === true,
  right: {
    ends: ['fixed'],
    operations: () => [{ op: 'reapply' }],
    isWell: async (lane) =>
      (await isAvailable(lane)) && (await readObject(lane, 'Deployment'))?.spec.template.spec.containers[0].image === imageOf(lane),
  },
  wrong: (lane) => wrongClusterFix('K02', lane),
};
