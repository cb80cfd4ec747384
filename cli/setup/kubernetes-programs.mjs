import { join } from 'node:path';
import { cacheFolder } from './cache-folder.mjs';

/** Releases of the cluster that tests ask: Kubernetes itself, the store behind it, and what plays its nodes. */
export const kubernetesVersion = '1.36.3';
export const etcdVersion = '3.6.5';
export const kwokVersion = '0.7.0';

const ofKubernetes = (program) => join(cacheFolder(), `kubernetes-${kubernetesVersion}`, program);

/** Where the set-up keeps the programs that it built; they may not be there yet. */
export const kubernetesPrograms = () => ({
  apiServer: ofKubernetes('kube-apiserver'),
  controllerManager: ofKubernetes('kube-controller-manager'),
  scheduler: ofKubernetes('kube-scheduler'),
  etcd: join(cacheFolder(), `etcd-${etcdVersion}`, 'etcd'),
  kwok: join(cacheFolder(), `kwok-${kwokVersion}`, 'kwok'),
});
