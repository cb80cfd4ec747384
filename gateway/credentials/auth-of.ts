import type { StoredResource } from '../../schema/resource.ts';
import type { ServerAuth } from '../../schema/resources/server-auth.ts';

type McpServer = Pick<StoredResource<'McpServer'>, 'spec'>;

export type ProtectedAuth = Exclude<ServerAuth, { kind: 'none' }>;

/** How a server knows who calls; undefined where it is sent no credential. */
export const authOf = ({ spec }: McpServer): ProtectedAuth | undefined =>
  'url' in spec && spec.auth !== undefined && spec.auth.kind !== 'none' ? spec.auth : undefined;

/** Whether each caller has a credential of their own there: then connections, sessions and streams are each caller's own too. */
export const isPerCaller = (server: McpServer): boolean => {
  const kind = authOf(server)?.kind;
  return kind === 'tokenExchange' || kind === 'userGrant' || kind === 'idJag';
};
