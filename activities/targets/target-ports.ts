import type { TargetPort } from '../../reconcile/target-port.ts';
import type { TargetType } from '../../schema/resources/reconcile-target.ts';
import { createKubernetesTarget, type KubernetesTargetOptions } from './kubernetes-target.ts';
import { createMcpTarget, type McpTargetOptions } from './mcp-target.ts';
import { createPlatformTarget, type PlatformTargetOptions } from './platform-target.ts';

/** `mcp` is left out by processes that cannot speak as an agent: only workers can. */
export type TargetPortsOptions = KubernetesTargetOptions & { mcp?: McpTargetOptions; platform?: PlatformTargetOptions };

/** The adapters that this process has, by kind of target. */
export const createTargetPorts = (options: TargetPortsOptions) => {
  const kubernetes = createKubernetesTarget(options);
  const ports: { [T in TargetType]?: TargetPort<T> } = {
    kubernetes,
    ...(options.mcp ? { mcp: createMcpTarget(options.mcp) } : {}),
    ...(options.platform ? { platform: createPlatformTarget(options.platform) } : {}),
  };
  return {
    /** @returns nothing where this process has no adapter of this kind */
    of: <T extends TargetType>(type: T): TargetPort<T> | undefined => ports[type] as TargetPort<T> | undefined,
    close: kubernetes.close,
  };
};
export type TargetPorts = ReturnType<typeof createTargetPorts>;
