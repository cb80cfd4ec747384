import { join } from 'node:path';
import { cacheFolder } from '../../cli/setup/cache-folder.mjs';

/** Releases of the API server that tests ask, and of the store behind it. */
export const kubernetesVersion = '1.36.3';
export const etcdVersion = '3.6.5';

/** Where the set-up keeps the programs that it built; they may not be there yet. */
export const kubernetesPrograms = () => ({
  apiServer: join(cacheFolder(), `kubernetes-${kubernetesVersion}`, 'kube-apiserver'),
  etcd: join(cacheFolder(), `etcd-${etcdVersion}`, 'etcd'),
});
