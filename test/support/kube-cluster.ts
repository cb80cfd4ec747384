import type { Images } from '../../bench/reconcile/cluster/program-facts.ts';
import { startCluster } from '../../bench/reconcile/cluster/start-cluster.ts';
import { kubernetesPrograms } from '../../cli/setup/kubernetes-programs.mjs';

export {
  type AuditEntry,
  type KubeCluster,
  reconcilerToken,
  reconcilerUser,
  writesIn,
} from '../../bench/reconcile/cluster/start-cluster.ts';

/** A real cluster but for its machines, out of what the set-up built. @param images - what can be pulled, and what the program in it is like */
export const startKubeCluster = (images: Images) => startCluster(kubernetesPrograms(), images);
