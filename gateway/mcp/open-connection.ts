import { PlatformError } from '../../schema/errors.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { ResolvedPath, ServerLaunchInput } from '../../schema/server-launch.ts';
import { recordToolDefinitions } from '../../store/tool-definitions.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { HostClient } from './host-client.ts';
import { observeTool } from './tool-hash.ts';
import { connectUpstream, type Upstream } from './upstream.ts';

/**
 * A server that answers. `isolation` is the proved tier of its cage; a remote server has 0: nothing is known of it.
 * `offered` has the hash of each tool as it was at the last look.
 */
export type Connection = {
  readonly upstream: Pick<Upstream, 'callTool'>;
  readonly isolation: number;
  readonly offered: ReadonlyMap<string, string>;
  readonly resolvePaths?: (paths: string[]) => Promise<ResolvedPath[]>;
};

/** A connection as its keeper has it. */
export type OpenConnection = Connection & {
  /** When its tools were last compared with their pins, in milliseconds; long ago when the server has said that they changed. */
  lookedAt(): number;
  lookAgain(): Promise<void>;
  close(): Promise<void>;
};

/** Whether this very server is declared now: not deleted, not changed, not another one under its name. */
export const isDeclared = ({ declared }: GatewayContext, { metadata, uid, generation }: StoredResource<'McpServer'>): boolean => {
  const present = declared().find('McpServer', metadata, metadata.name);
  return present?.uid === uid && present.generation === generation;
};

/**
 * Starts the server if it is ours, connects, and compares what it offers with its pins.
 * @param timeoutMs - for connecting and listing together; the host has its own limit for a start
 * @throws {PlatformError} `server_unavailable`, `isolation_unavailable`
 */
export const openConnection = async ({
  context,
  host,
  server,
  launch,
  timeoutMs,
}: {
  context: GatewayContext;
  host: HostClient;
  server: StoredResource<'McpServer'>;
  launch: ServerLaunchInput | undefined;
  timeoutMs: number;
}): Promise<OpenConnection> => {
  const { org, project, name } = server.metadata;
  const url = 'url' in server.spec ? server.spec.url : '';
  let offered: ReadonlyMap<string, string> = new Map();
  let lookedAt = Number.NEGATIVE_INFINITY;

  const ready = launch && (await host.ensure(launch));
  const deadline = AbortSignal.timeout(timeoutMs);
  const upstream = await connectUpstream({
    name: launch ? name : `${name} at ${url}`,
    url: launch ? host.mcpUrl(launch.id) : url,
    headers: launch ? host.headers : {},
    isOurHost: launch !== undefined,
    deadline,
    onToolsChanged: () => {
      lookedAt = Number.NEGATIVE_INFINITY;
    },
  });

  const look = async (signal: AbortSignal): Promise<void> => {
    // before the list is asked for: a change that is told meanwhile must not be taken as seen
    lookedAt = context.now();
    const tools = (await upstream.listTools(signal)).map(observeTool);
    if (!isDeclared(context, server))
      throw new PlatformError('server_unavailable', `The MCP server ${name} was changed or deleted meanwhile; try again in a moment.`);
    await recordToolDefinitions(context.database, { org, project, server: name, generation: server.generation }, tools);
    offered = new Map(tools.map((tool) => [tool.name, tool.hash]));
  };

  try {
    await look(deadline);
  } catch (error) {
    await upstream.close();
    throw error;
  }
  return {
    upstream,
    isolation: ready?.isolation ?? 0,
    get offered() {
      return offered;
    },
    ...(launch ? { resolvePaths: (paths: string[]) => host.resolvePaths(launch.id, paths) } : {}),
    lookedAt: () => lookedAt,
    lookAgain: () => look(AbortSignal.timeout(timeoutMs)),
    close: () => upstream.close(),
  };
};
