import { type KubeApiServerOptions, startApiServer } from '../../bench/reconcile/cluster/start-api-server.ts';
import { kubernetesPrograms } from '../../cli/setup/kubernetes-programs.mjs';

export { adminToken, type KubeApiServer, reviewerToken } from '../../bench/reconcile/cluster/start-api-server.ts';

/** A real API server with its store, out of what the set-up built. */
export const startKubeApiServer = (options?: KubeApiServerOptions) => startApiServer(kubernetesPrograms(), options);
