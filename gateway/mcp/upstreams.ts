import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import { qualifiedName } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { HostClient } from './host-client.ts';
import { isPerRun, launchOf, type RunOfServer } from './launch-of.ts';
import { type Connection, isDeclared, type OpenConnection, openConnection } from './open-connection.ts';
import type { UpstreamCall, UpstreamOutcome } from './upstream.ts';

export type { Connection } from './open-connection.ts';

/** How old a comparison with the pins may be when a call relies on it. */
const longestUnseenMs = 60_000;

type Entry = {
  server: StoredResource<'McpServer'>;
  opened: Promise<OpenConnection>;
  /** What callers were given. */
  connection?: Connection;
  /** A new comparison that is under way. */
  looking?: Promise<void>;
  /** Id of the host's instance behind it. */
  instance?: string;
  isOfRun: boolean;
  usedAt: number;
  callsUnderWay: number;
  /** Set when nobody gets it any more: it ends with its last call, and with it its instance where that is to stop. */
  end?: { stopsInstance: boolean };
};

export type Upstreams = ReturnType<typeof createUpstreams>;

/**
 * Connections to servers, one a server, or one a server and run where the server mounts folders of the run.
 * Whatever a server offers is compared with its pins when a connection is made, when the server says that its tools changed, and every
 * minute that it is used, before a call goes through it; our host refuses a call that means another process than the one compared.
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
  let isClosed = false;

  const keyOf = (server: StoredResource<'McpServer'>, run: RunOfServer | undefined): string =>
    `${qualifiedName(server.metadata, server.metadata.name)}${run ? `/${run.runId}` : ''}`;

  /** Whether what is declared now under the server's name runs as the same instances. */
  const keepsInstance = ({ server }: Entry): boolean => {
    const present = context.declared().find('McpServer', server.metadata, server.metadata.name);
    return present !== undefined && !('url' in present.spec) && isPerRun(present) === isPerRun(server);
  };

  const finish = async ({ opened, instance, end }: Entry): Promise<void> => {
    void opened.then((connection) => connection.close()).catch(() => undefined);
    const isInUse = [...entries.values()].some((other) => other.instance === instance);
    if (instance === undefined || !end?.stopsInstance || isInUse) return;
    await host.stop(instance).catch((error) => context.logger.warn({ err: error, instance }, 'a server could not be stopped'));
  };

  /** Takes it away from callers to come; calls under way keep it to their end. */
  const retire = async (key: string, entry: Entry, stopsInstance = false): Promise<void> => {
    if (entries.get(key) !== entry) return;
    entries.delete(key);
    entry.end = { stopsInstance };
    if (entry.callsUnderWay === 0) await finish(entry);
  };

  const callThrough = async (entry: Entry, { upstream }: OpenConnection, call: UpstreamCall): Promise<UpstreamOutcome> => {
    entry.callsUnderWay += 1;
    try {
      return await upstream.callTool(call);
    } finally {
      entry.callsUnderWay -= 1;
      entry.usedAt = context.now();
      if (entry.end && entry.callsUnderWay === 0) void finish(entry);
    }
  };

  const create = (key: string, server: StoredResource<'McpServer'>, run: RunOfServer | undefined): Entry => {
    const launch = 'url' in server.spec ? undefined : launchOf(server, run);
    const opened = openConnection({ context, host, server, launch, timeoutMs: connectTimeoutMs });
    const entry: Entry = {
      server,
      opened,
      ...(launch ? { instance: launch.id } : {}),
      isOfRun: run !== undefined,
      usedAt: context.now(),
      callsUnderWay: 0,
    };
    entries.set(key, entry);
    opened.catch(() => retire(key, entry));
    return entry;
  };

  const connectionOf = async (entry: Entry, longestAgeMs: number): Promise<Connection> => {
    const open = await entry.opened;
    if (entry.looking === undefined && context.now() - open.lookedAt() >= longestAgeMs)
      entry.looking = open.lookAgain().finally(() => {
        delete entry.looking;
      });
    await entry.looking;
    entry.connection ??= {
      isolation: open.isolation,
      get offered() {
        return open.offered;
      },
      upstream: { callTool: (call) => callThrough(entry, open, call) },
      ...(open.resolvePaths ? { resolvePaths: open.resolvePaths } : {}),
    };
    return entry.connection;
  };

  /**
   * @param options.longestAgeMs - how long ago the tools may have been compared with their pins
   * @throws {PlatformError} `server_unavailable`, `isolation_unavailable`, `input_invalid`
   */
  const connect = async (
    server: StoredResource<'McpServer'>,
    runOfCaller: RunOfServer | undefined,
    { longestAgeMs = longestUnseenMs }: { longestAgeMs?: number } = {},
  ): Promise<Connection> => {
    if (isClosed) throw new PlatformError('server_unavailable', 'The gateway is being stopped.');
    const run = isPerRun(server) ? runOfCaller : undefined;
    const key = keyOf(server, run);
    let entry = entries.get(key);
    if (entry && (entry.server.uid !== server.uid || entry.server.generation !== server.generation)) {
      void retire(key, entry, !keepsInstance(entry));
      entry = undefined;
    }
    const wasThere = entry?.connection !== undefined;
    entry ??= create(key, server, run);
    entry.usedAt = context.now();
    try {
      return await connectionOf(entry, longestAgeMs);
    } catch (cause) {
      await retire(key, entry);
      // a connection that stood may have outlived its session; a new one says whether the server is there
      if (wasThere) return connect(server, runOfCaller, { longestAgeMs });
      if (isPlatformError(cause)) throw cause;
      throw new PlatformError('server_unavailable', `The MCP server ${server.metadata.name} does not answer; try again in a few seconds.`, {
        cause,
      });
    }
  };

  /** Forgets a connection that gave no answer, or whichever there is; the next call opens another. */
  const forget = (server: StoredResource<'McpServer'>, runOfCaller: RunOfServer | undefined, connection?: Connection): void => {
    const key = keyOf(server, isPerRun(server) ? runOfCaller : undefined);
    const entry = entries.get(key);
    if (entry && (connection === undefined || entry.connection === connection)) void retire(key, entry);
  };

  /** Ends what belongs to servers that were deleted or changed. */
  const dropUndeclared = async (): Promise<void> => {
    const undeclared = [...entries].filter(([, { server }]) => !isDeclared(context, server));
    await Promise.all(undeclared.map(([key, entry]) => retire(key, entry, !keepsInstance(entry))));
  };

  /** Stops instances that served a run and have been idle; a later call would start them again. */
  const sweep = async (): Promise<void> => {
    const isIdle = ({ isOfRun, callsUnderWay, usedAt }: Entry) => isOfRun && callsUnderWay === 0 && context.now() - usedAt >= idleMs;
    await Promise.all([...entries].filter(([, entry]) => isIdle(entry)).map(([key, entry]) => retire(key, entry, true)));
  };
  const timer = setInterval(() => void sweep(), 30_000);
  timer.unref();

  return {
    connect,
    forget,
    sweep,
    dropUndeclared,
    close: async (): Promise<void> => {
      isClosed = true;
      clearInterval(timer);
      for (const { opened } of entries.values()) void opened.then((connection) => connection.close()).catch(() => undefined);
      entries.clear();
    },
  };
};
