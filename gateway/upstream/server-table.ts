import { PlatformError } from '../../schema/errors.ts';
import type { UpstreamSessionStore } from '../../store/mcp-upstream-sessions.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { isPerRun, isPerSession } from '../mcp/launch-of.ts';
import type { Notification } from '../mcp/message.ts';
import type { Admission } from './breaker.ts';
import { createCallShares } from './call-shares.ts';
import type { HostClient } from './host-client.ts';
import { isDeclared } from './is-declared.ts';
import type { ListenHub } from './listen-hub.ts';
import { type OpenServer, openServer } from './open-server.ts';
import type { Place } from './place.ts';
import { mostConnections } from './send-http.ts';
import { type Entry, isOf, isReady, type ReadyEntry } from './server-entry.ts';
import type { ServerHealth } from './server-health.ts';
import { createServerLooks } from './server-looks.ts';
import { unavailable } from './unavailable.ts';

export type ServerTable = {
  /** The open server of a place, looked at no longer than `longestAgeMs` ago. @throws {PlatformError} `server_unavailable`, … */
  ready(place: Place, longestAgeMs: number): Promise<ReadyEntry>;
  /** The same at once, or undefined where something has to be done first. */
  readyNow(place: Place, longestAgeMs: number): ReadyEntry | undefined;
  find(key: string): Entry | undefined;
  all(): Entry[];
  /** Takes it away from callers to come; calls under way keep it to their end. */
  retire(entry: Entry, options?: { stopsInstance?: boolean }): Promise<void>;
  /** Looks again in the background; what fails is found by the next who asks. */
  refresh(entry: Entry): Promise<void>;
  /** Ends what belongs to servers that were deleted or changed. */
  dropUndeclared(): Promise<void>;
  /** A call on it has ended. */
  callEnded(entry: Entry, principal: string | undefined): void;
  close(): Promise<void>;
};

/**
 * The servers that are spoken to, one entry a place. A server that cannot be opened or looked at is taken out, and opened anew by whoever
 * asks next, as its breaker allows.
 */
export const createServerTable = ({
  context,
  host,
  health,
  store,
  hubOf,
  onRetired,
  connectTimeoutMs,
}: {
  context: GatewayContext;
  host: HostClient;
  health: ServerHealth;
  store: UpstreamSessionStore | undefined;
  /** Those who listen at a place. */
  hubOf: (key: string) => ListenHub | undefined;
  onRetired: (entry: Entry) => void;
  connectTimeoutMs: number;
}): ServerTable => {
  const entries = new Map<string, Entry>();
  const isPresent = (entry: Entry): boolean => entries.get(entry.place.key) === entry;

  const { judge, look, refresh, notified } = createServerLooks({
    context,
    hubOf,
    isPresent,
    retire: (entry) => retire(entry),
  });

  const finish = async (entry: Entry): Promise<void> => {
    const open = entry.open ?? (await entry.opening.catch(() => undefined));
    // a process of one session keeps what it has of it: another connection may go on there
    void open?.close({ atServer: entry.place.session === undefined }).catch(() => undefined);
    const instance = open?.instanceId;
    const isInUse = [...entries.values()].some((other) => other.open?.instanceId === instance);
    if (instance === undefined || !entry.end?.stopsInstance || isInUse) return;
    await host.stop(instance).catch((error) => context.logger.warn({ err: error, instance }, 'a server could not be stopped'));
  };

  const retire = async (entry: Entry, { stopsInstance = false } = {}): Promise<void> => {
    if (!isPresent(entry)) return;
    entries.delete(entry.place.key);
    entry.end = { stopsInstance };
    hubOf(entry.place.key)?.attach(undefined);
    onRetired(entry);
    if (entry.callsUnderWay === 0) await finish(entry);
  };

  const create = (place: Place): Entry => {
    const known = health.at(place);
    const events = {
      onNotification: (notification: Notification) => notified(entry, notification),
      onFeed: (how: 'again' | 'down') => {
        if (how === 'again') for (const list of ['tools', 'prompts', 'resources']) entry.told.add(list);
        entry.open?.inspection.markStale();
        void refresh(entry);
      },
      onContradiction: () => {
        known.way = undefined;
        void retire(entry);
      },
    };
    const opening = openServer({ context, host, place, way: known.way, store, timeoutMs: connectTimeoutMs, events });
    const shares = createCallShares(mostConnections);
    const entry: Entry = { place, health: known, opening, told: new Set(), usedAt: context.now(), callsUnderWay: 0, shares };
    entries.set(place.key, entry);
    judge(entry, opening).then(
      (open) => {
        entry.open = open;
        known.way = open.way;
        const { capabilities, instructions } = open.greeting;
        const era = open.way === 'modern' ? 'modern' : 'legacy';
        health.tellFacts(place, { era, capabilities, ...(instructions === undefined ? {} : { instructions }) });
        if (isPresent(entry)) hubOf(place.key)?.attach(open.feed);
      },
      () => {
        // what was found out does not hold, or nobody is there: the next asks anew
        known.way = undefined;
        void retire(entry);
      },
    );
    return entry;
  };

  const isFresh = ({ inspection }: OpenServer, longestAgeMs: number): boolean => context.now() - inspection.lookedAt < longestAgeMs;

  const opened = async (place: Place, longestAgeMs: number, isTrial: boolean): Promise<ReadyEntry> => {
    const entry = entries.get(place.key) ?? create(place);
    entry.usedAt = context.now();
    const wasThere = entry.open !== undefined;
    try {
      const open = await entry.opening;
      const ready = Object.assign(entry, { open });
      if (entry.looking) await entry.looking;
      if (wasThere && (isTrial || !isFresh(open, longestAgeMs))) await look(ready);
      return ready;
    } catch (error) {
      await retire(entry);
      // one that stood may have outlived what it stood on; a new one says whether the server is there
      if (wasThere) return opened(place, longestAgeMs, isTrial);
      throw unavailable(place.server.metadata.name, error);
    }
  };

  const refused = ({ metadata }: Place['server'], { retryInMs }: Extract<Admission, { ok: false }>): PlatformError =>
    new PlatformError(
      'server_unavailable',
      `The MCP server ${metadata.name} did not answer lately; it is asked again in ${Math.max(1, Math.ceil(retryInMs / 1000))} s.`,
      { facts: { retryInMs: Math.ceil(retryInMs) } },
    );

  /** Whether what is declared now under the server's name runs as the same instances. */
  const keepsInstance = ({ server }: Place): boolean => {
    const present = context.declared().find('McpServer', server.metadata, server.metadata.name);
    return (
      present !== undefined &&
      !('url' in present.spec) &&
      isPerRun(present) === isPerRun(server) &&
      isPerSession(present) === isPerSession(server)
    );
  };

  return {
    readyNow: ({ key, server }, longestAgeMs) => {
      const entry = entries.get(key);
      if (!entry || !isReady(entry) || entry.looking || !isOf(entry, server)) return undefined;
      if (!isFresh(entry.open, longestAgeMs) || entry.health.breaker.state() !== 'closed') return undefined;
      entry.usedAt = context.now();
      return entry;
    },
    ready: async (place, longestAgeMs) => {
      const { server } = place;
      const entry = entries.get(place.key);
      if (entry && !isOf(entry, server)) void retire(entry, { stopsInstance: !keepsInstance(entry.place) });
      const { breaker } = health.at(place);
      const admission = breaker.admit();
      if (!admission.ok) throw refused(server, admission);
      try {
        return await opened(place, longestAgeMs, admission.isTrial);
      } catch (error) {
        // a trial that failed for another reason is over too
        if (admission.isTrial && breaker.state() === 'half-open') breaker.failed();
        throw error;
      }
    },
    find: (key) => entries.get(key),
    all: () => [...entries.values()],
    retire,
    refresh,
    callEnded: (entry, principal) => {
      entry.callsUnderWay -= 1;
      if (principal !== undefined) entry.shares.end(principal);
      entry.usedAt = context.now();
      if (entry.end && entry.callsUnderWay === 0) void finish(entry);
    },
    dropUndeclared: async () => {
      const undeclared = [...entries.values()].filter(({ place }) => !isDeclared(context, place.server));
      await Promise.all(undeclared.map((entry) => retire(entry, { stopsInstance: !keepsInstance(entry.place) })));
    },
    close: async () => {
      const last = [...entries.values()];
      entries.clear();
      await Promise.all(last.map(({ open, place }) => open?.close({ atServer: place.session === undefined }).catch(() => undefined)));
    },
  };
};
