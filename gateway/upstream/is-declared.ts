import type { GatewayContext } from '../gateway-context.ts';
import type { McpServer } from './upstream-pool.ts';

/** Whether this very server is declared now: not deleted, not changed, not another one under its name. */
export const isDeclared = ({ declared }: Pick<GatewayContext, 'declared'>, { metadata, uid, generation }: McpServer): boolean => {
  const present = declared().find('McpServer', metadata, metadata.name);
  return present?.uid === uid && present.generation === generation;
};
