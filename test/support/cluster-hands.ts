import type { ClusterReconcilePlace } from './cluster-reconcile-place.ts';

export const deploymentPath = (namespace: string, name = 'web'): string => `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
export const configMapPath = (namespace: string, name: string): string => `/api/v1/namespaces/${namespace}/configmaps/${name}`;

/** What somebody with kubectl sees and does in the cluster of a place, past what stands in front of its API server. */
export const clusterHands = (loop: () => Pick<ClusterReconcilePlace, 'cluster'>) => {
  const see = (path: string) => loop().cluster.send('GET', path);
  const isGone = (path: string): Promise<true | undefined> =>
    see(path).then(
      () => undefined,
      () => true as const,
    );
  return {
    see,
    /** A Deployment as it is now. */
    live: (namespace: string, name = 'web') => see(deploymentPath(namespace, name)),
    isGone,
    /** A JSON patch. */
    byHand: (path: string, patch: object[]) =>
      loop().cluster.send('PATCH', `${path}?fieldManager=kubectl-edit`, patch, 'application/json-patch+json'),
  };
};
