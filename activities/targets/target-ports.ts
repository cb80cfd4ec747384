import type { TargetPort } from '../../reconcile/target-port.ts';
import type { TargetType } from '../../schema/resources/reconcile-target.ts';
import { createKubernetesTarget, type KubernetesTargetOptions } from './kubernetes-target.ts';

export type TargetPortsOptions = KubernetesTargetOptions;

/** The adapters that this installation has, by kind of target. */
export const createTargetPorts = (options: TargetPortsOptions) => {
  const kubernetes = createKubernetesTarget(options);
  const ports: { [T in TargetType]?: TargetPort<T> } = { kubernetes };
  return {
    /** @returns nothing where no adapter of this kind is built yet */
    of: <T extends TargetType>(type: T): TargetPort<T> | undefined => ports[type] as TargetPort<T> | undefined,
    close: kubernetes.close,
  };
};
export type TargetPorts = ReturnType<typeof createTargetPorts>;
