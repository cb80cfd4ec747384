import type { TargetOf } from '../../reconcile/target-port.ts';
import type { TargetSpecOf } from '../../schema/resources/reconcile-target.ts';
import { createKubernetesClient } from './kubernetes-client.ts';
import type { readKubeconfig } from './kubernetes-kubeconfig.ts';
import { createKubernetesResources } from './kubernetes-resources.ts';

export type KubernetesTarget = TargetOf<TargetSpecOf<'kubernetes'>>;

export const connectKubernetes = async (key: string, load: () => ReturnType<typeof readKubeconfig>) => {
  const client = createKubernetesClient(await load());
  return { key, client, resources: createKubernetesResources(client) };
};
export type KubernetesConnection = Awaited<ReturnType<typeof connectKubernetes>>;
