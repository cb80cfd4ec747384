import { PlatformError } from '../../schema/errors.ts';
import { createUpstreamSessionStore, type UpstreamSession } from '../../store/mcp-upstream-sessions.ts';
import { authOf, isPerCaller } from '../credentials/auth-of.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { createUpkeep } from './create-upkeep.ts';
import { endSessionAt } from './end-session-at.ts';
import type { HostClient } from './host-client.ts';
import { isDeclared } from './is-declared.ts';
import { createListenHubs } from './listen-hubs.ts';
import { haltableAt, haltableInstance, type Place, placeOf } from './place.ts';
import { ServerConnection } from './server-connection.ts';
import type { ReadyEntry } from './server-entry.ts';
import { createServerHealth } from './server-health.ts';
import { createServerTable } from './server-table.ts';
import type { CallerOfServer, Connection } from './upstream.ts';
import type { McpServer, UpstreamPool } from './upstream-pool.ts';

/** How old a comparison with the pins may be when a call relies on it. */
const longestUnseenMs = 60_000;
/**
 * Connections to servers: one place for all callers of a server, or one a run or session where a process serves that alone, and in each place
 * the sessions of those who call. Whatever a server offers is compared with its pins when it is opened, when it says that it changed, every
 * three seconds that it is called where it does not say such things, and every minute in any case before a call goes through; our host refuses
 * a call that means another process than the one compared.
 */
export const createUpstreamPool = ({
  context,
  host,
  idleMs = 120_000,
  connectTimeoutMs = 15_000,
}: {
  context: GatewayContext;
  host: HostClient;
  /** A process of one run that nobody used for so long is stopped. */
  idleMs?: number;
  connectTimeoutMs?: number;
}): UpstreamPool & {
  /** What is done every half minute. */
  sweep(): Promise<void>;
} => {
  const { logger } = context;
  const store = createUpstreamSessionStore(context.database, context.keysFor('upstream-sessions'));
  const health = createServerHealth(context);
  let isClosed = false;

  const hubs = createListenHubs({
    open: (place) => ready(place, longestUnseenMs),
    present: (place) => {
      const server = context.declared().find('McpServer', place.server.metadata, place.server.metadata.name);
      return server && { ...place, server };
    },
  });
  const table = createServerTable({
    context,
    host,
    health,
    store,
    hubOf: hubs.find,
    onRetired: ({ place }) => {
      if (!isClosed) hubs.revive(place);
    },
    connectTimeoutMs,
  });

  const ready = async (place: Place, longestAgeMs: number): Promise<ReadyEntry> => {
    if (isClosed) throw new PlatformError('server_unavailable', 'The gateway is being stopped.');
    await context.halts.check(haltableAt(place));
    return table.ready(place, longestAgeMs);
  };

  /** The process that serves a session alone is to be found by whichever replica ends the session. */
  const keepInstance = async ({ place, open }: ReadyEntry): Promise<void> => {
    const { server, session } = place;
    if (!session || open.instanceId === undefined) return;
    const { org, project, name } = server.metadata;
    const kept = { instance: open.instanceId, protocolVersion: open.greeting.protocolVersion };
    await store
      .keep({ org, project, server: name, sessionKey: session.key, part: open.instanceId }, kept)
      .catch((err) => logger.warn({ err, server: name }, 'a process of a session could not be written down'));
  };

  const connectAnew = async (place: Place, caller: CallerOfServer, longestAgeMs: number): Promise<Connection> => {
    const isNew = place.session !== undefined && table.find(place.key) === undefined;
    const entry = await ready(place, longestAgeMs);
    if (isNew) await keepInstance(entry);
    return new ServerConnection(table, entry, caller);
  };

  /** Lets go of what is halted, and stops the processes behind it: they are started again by whoever calls after the halt was lifted. */
  const dropHalted = async (): Promise<void> => {
    await Promise.all(
      table.all().map(async (entry) => {
        if (context.halts.find(haltableAt(entry.place))) await table.retire(entry, { stopsInstance: true });
      }),
    );
    // what this replica has nothing to do with: started for another one, or before this one was there
    for (const id of await host.list()) if (context.halts.find(haltableInstance(id))) await host.stop(id);
  };
  const stopHearing = context.halts.onChange((index) => {
    if (!index.isEmpty) dropHalted().catch((err) => logger.warn({ err }, 'what stands for something halted could not be let go'));
  });

  const upkeep = createUpkeep({ context, table, hubs, health, store, runIdleMs: idleMs });

  const endAtServer = async (row: UpstreamSession & { org: string; project: string; server: string }): Promise<void> => {
    if (row.instance !== undefined) return host.stop(row.instance);
    const server = context.declared().find('McpServer', row, row.server);
    // only ever where it was opened: its id is nobody else's to know
    if (!server || !('url' in server.spec) || row.url === undefined || new URL(server.spec.url).href !== row.url) return;
    // a session of one caller's own credential ends there by itself: whose it was is not written down
    if (!isPerCaller(server)) await endSessionAt(new URL(row.url), row, authOf(server) && context.credentials.of(server, undefined));
  };

  const forgetSessionsOf = async ({ metadata: { org, project, name } }: McpServer): Promise<void> => {
    await store
      .removeOfServer({ org, project, server: name })
      .catch((err) => logger.warn({ err, server: name }, 'sessions at a server that is gone could not be forgotten'));
  };

  return {
    connect: (server, caller, { longestAgeMs = longestUnseenMs } = {}) => {
      const place = placeOf(server, caller);
      // nearly every call finds it so
      const entry = isClosed ? undefined : table.readyNow(place, longestAgeMs);
      return entry ? Promise.resolve(new ServerConnection(table, entry, caller)) : connectAnew(place, caller, longestAgeMs);
    },
    forget: (server, caller, connection) => {
      const entry = table.find(placeOf(server, caller).key);
      if (connection) {
        if (connection instanceof ServerConnection) connection.forget();
        // what stands behind it is looked at before the next call
        entry?.open?.inspection.markStale();
      } else if (entry) void table.retire(entry);
    },
    tell: (server, caller, notification) => table.find(placeOf(server, caller).key)?.open?.notify(caller, notification),
    look: async (server, run, { longestAgeMs = longestUnseenMs } = {}) =>
      new ServerConnection(table, await ready(placeOf(server, run ? { run } : {}), longestAgeMs), undefined),
    listen: async (server, run, filter, onNotification, caller) => {
      const place = placeOf(server, caller ?? (run ? { run } : {}));
      const hub = hubs.at(place.key);
      const entry = await ready(place, longestUnseenMs).catch(() => undefined);
      const facts = health.factsOf(server);
      const hopes = entry === undefined && (facts?.capabilities.resources as { subscribe?: unknown } | undefined)?.subscribe === true;
      if (entry) hub.attachOnce(entry.open.feed);
      const { accepted, close } = await hub.add(filter, onNotification, hopes);
      if (!entry) hubs.revive(place);
      return {
        accepted,
        close: () => {
          close();
          hubs.tidy(place.key);
        },
      };
    },
    healthOf: health.stateOf,
    factsOf: health.factsOf,
    onServerChange: health.onChange,
    endSession: async (sessionKey) => {
      for (const entry of table.all()) {
        entry.open?.forgetKey(sessionKey);
        if (entry.place.session?.key === sessionKey) await table.retire(entry, { stopsInstance: true });
      }
      const rows = await store.removeOfKey(sessionKey);
      await Promise.all(
        rows.map((row) =>
          endAtServer(row).catch((err) => logger.info({ err, server: row.server }, 'a session at a server could not be ended')),
        ),
      );
    },
    letGo: async ({ uid }) => {
      await Promise.all(
        table
          .all()
          .filter(({ place }) => place.server.uid === uid)
          .map((entry) => table.retire(entry)),
      );
      health.drop((server) => server.uid === uid);
    },
    dropUndeclared: async () => {
      const isGone = ({ metadata }: McpServer): boolean => context.declared().find('McpServer', metadata, metadata.name) === undefined;
      const gone = table.all().filter(({ place }) => isGone(place.server));
      await table.dropUndeclared();
      for (const { place } of gone) await forgetSessionsOf(place.server);
      health.drop((server) => !isDeclared(context, server));
    },
    sweep: upkeep.sweep,
    close: async () => {
      isClosed = true;
      stopHearing();
      upkeep.close();
      hubs.close();
      await table.close();
    },
  };
};
