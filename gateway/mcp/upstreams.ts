import { PlatformError } from '../../schema/errors.ts';
import { qualifiedName } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { ResolvedPath } from '../../schema/server-launch.ts';
import { recordToolDefinitions } from '../../store/tool-definitions.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { HostClient } from './host-client.ts';
import { isPerRun, launchOf, type RunOfServer } from './launch-of.ts';
import { observeTool } from './tool-hash.ts';
import { connectUpstream, type Upstream } from './upstream.ts';

/**
 * A server that answers. `isolation` is the proved tier of its cage; a remote server has 0: nothing is known of it.
 * `offered` has the hash of each tool as it was when the connection was made.
 */
export type Connection = {
  upstream: Upstream;
  isolation: number;
  offered: ReadonlyMap<string, string>;
  resolvePaths?: (paths: string[]) => Promise<ResolvedPath[]>;
};
type Entry = { generation: number; connection: Promise<Connection>; instance?: string; usedAt: number };

export type Upstreams = ReturnType<typeof createUpstreams>;

/**
 * Connections to servers, one a server, or one a server and run where the server mounts folders of the run.
 * Whatever a server offers is compared with its pins each time a connection is made, before a call goes through it.
 */
export const createUpstreams = ({
  context,
  host,
  idleMs = 120_000,
  connectTimeoutMs = 15_000,
}: {
  context: GatewayContext;
  host: HostClient;
  idleMs?: number;
  connectTimeoutMs?: number;
}) => {
  const entries = new Map<string, Entry>();

  const open = async (
    server: StoredResource<'McpServer'>,
    run: RunOfServer | undefined,
  ): Promise<{ connection: Connection; instance?: string }> => {
    const { org, project, name } = server.metadata;
    const launch = 'url' in server.spec ? undefined : launchOf(server, run);
    const ready = launch && (await host.ensure(launch));
    const upstream = await connectUpstream({
      name: launch ? name : `${name} at ${(server.spec as { url: string }).url}`,
      url: launch ? host.mcpUrl(launch.id) : (server.spec as { url: string }).url,
      headers: launch ? host.headers : {},
      isOurHost: launch !== undefined,
      timeoutMs: connectTimeoutMs,
    });
    const tools = (await upstream.listTools()).map(observeTool);
    await recordToolDefinitions(context.database, { org, project, server: name, generation: server.generation }, tools);
    const offered = new Map(tools.map((tool) => [tool.name, tool.hash]));
    const connection: Connection = {
      upstream,
      isolation: ready?.isolation ?? 0,
      offered,
      ...(launch ? { resolvePaths: (paths) => host.resolvePaths(launch.id, paths) } : {}),
    };
    return launch ? { connection, instance: launch.id } : { connection };
  };

  const keyOf = (server: StoredResource<'McpServer'>, run: RunOfServer | undefined): string =>
    `${qualifiedName(server.metadata, server.metadata.name)}${run ? `/${run.runId}` : ''}`;

  const drop = (key: string, entry: Entry): void => {
    if (entries.get(key) === entry) entries.delete(key);
    entry.connection.then(({ upstream }) => upstream.close()).catch(() => undefined);
  };

  /** @throws {PlatformError} `server_unavailable`, `isolation_unavailable`, `input_invalid` */
  const connect = async (server: StoredResource<'McpServer'>, runOfCaller: RunOfServer | undefined): Promise<Connection> => {
    const run = isPerRun(server) ? runOfCaller : undefined;
    const key = keyOf(server, run);
    let entry = entries.get(key);
    if (entry && entry.generation !== server.generation) {
      drop(key, entry);
      entry = undefined;
    }
    if (!entry) {
      const opening = open(server, run);
      const created: Entry = {
        generation: server.generation,
        connection: opening.then(({ connection }) => connection),
        usedAt: context.now(),
      };
      entries.set(key, created);
      entry = created;
      opening.then(
        ({ instance }) => {
          if (instance) created.instance = instance;
        },
        () => drop(key, created),
      );
    }
    entry.usedAt = context.now();
    try {
      return await entry.connection;
    } catch (cause) {
      if (cause instanceof PlatformError) throw cause;
      throw new PlatformError('server_unavailable', `The MCP server ${server.metadata.name} does not answer; try again in a few seconds.`, {
        cause,
      });
    }
  };

  /** Forgets a connection over which a call got no answer; the next call opens another. */
  const forget = (server: StoredResource<'McpServer'>, runOfCaller: RunOfServer | undefined): void => {
    const key = keyOf(server, isPerRun(server) ? runOfCaller : undefined);
    const entry = entries.get(key);
    if (entry) drop(key, entry);
  };

  /** Stops instances that served a run and have been idle; a later call would start them again. */
  const sweep = async (): Promise<void> => {
    for (const [key, entry] of entries) {
      const isOfRun = entry.instance !== undefined && entry.instance.split('/').length === 4;
      if (!isOfRun || context.now() - entry.usedAt < idleMs) continue;
      drop(key, entry);
      if (entry.instance)
        await host
          .stop(entry.instance)
          .catch((error) => context.logger.warn({ err: error, instance: entry.instance }, 'an idle server could not be stopped'));
    }
  };
  const timer = setInterval(() => void sweep(), 30_000);
  timer.unref();

  return {
    connect,
    forget,
    sweep,
    close: async (): Promise<void> => {
      clearInterval(timer);
      for (const [key, entry] of entries) drop(key, entry);
    },
  };
};
