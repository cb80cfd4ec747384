import type { TargetPort } from '../../reconcile/target-port.ts';
import type { SecretSources } from '../../store/secrets/references.ts';
import { createKubernetesApply } from './kubernetes-apply.ts';
import { createKubernetesConnections } from './kubernetes-connections.ts';
import { createKubernetesDesired } from './kubernetes-desired.ts';
import { createKubernetesInformers } from './kubernetes-informers.ts';
import type { OwnCluster } from './kubernetes-kubeconfig.ts';
import { createKubernetesObserve, createListGather } from './kubernetes-observe.ts';
import { createKubernetesWatch, realTiming, type WatchTiming } from './kubernetes-watch.ts';
import { createWritings } from './kubernetes-writing.ts';

/** A kubeconfig that was rotated is taken after so long by who looks again and again. */
const sharedConnectionMs = 1000;

export type KubernetesTargetOptions = {
  secrets: SecretSources;
  /** The cluster that this process runs in, for targets that name none. */
  ownCluster?: OwnCluster | undefined;
  now?: () => Date;
  watchTiming?: WatchTiming;
  /** Keeps lists and watches for all watched targets of a cluster together, for who looks again and again; others ask for each look. */
  sharesLists?: boolean;
};

/**
 * Manifests in a cluster: what was declared, what is there, and changes of it under the field manager `quarterdeck`. Force is never sent.
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
export const createKubernetesTarget = ({
  secrets,
  ownCluster,
  now = () => new Date(),
  watchTiming = realTiming,
  sharesLists = false,
}: KubernetesTargetOptions) => {
  const connections = createKubernetesConnections({ secrets, ownCluster, reuseMs: sharesLists ? sharedConnectionMs : 0 });
  const desired = createKubernetesDesired(connections);
  const { apply, dryRun } = createKubernetesApply({ connections, writings: createWritings({ desired, secrets }), now });
  const informers = sharesLists ? createKubernetesInformers({ connections, timing: watchTiming }) : undefined;
  const observe = createKubernetesObserve({ gather: informers?.gather ?? createListGather(connections), now });
  const port: TargetPort<'kubernetes'> = {
    type: 'kubernetes',
    desired: desired.desired,
    observe: informers ? informers.remember(observe) : observe,
    watch: informers?.watch ?? createKubernetesWatch(connections, watchTiming),
    dryRun,
    apply,
  };
  return { ...port, close: connections.close };
};
export type KubernetesTargetPort = ReturnType<typeof createKubernetesTarget>;
