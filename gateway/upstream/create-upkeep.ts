import type { UpstreamSessionStore } from '../../store/mcp-upstream-sessions.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ListenHubs } from './listen-hubs.ts';
import type { Entry } from './server-entry.ts';
import type { ServerHealth } from './server-health.ts';
import type { ServerTable } from './server-table.ts';

/** A server by URL that does not tell of changes is looked at this often: while it is called, and while somebody only listens. */
const inUseLookMs = 3000;
const listenedLookMs = 15_000;
/** So long after its last call a server is in use. */
const inUseMs = 120_000;
/** What is open for one session is let go here after so long; its process ends by its session, or when the host finds it idle. */
const sessionIdleMs = 600_000;
/** So does what is open for one caller at a server where each has a credential of their own. */
const callerIdleMs = 300_000;
const freshenMs = 1000;
const sweepMs = 30_000;
const storeSweepMs = 3_600_000;

/**
 * What is done by the clock: servers that tell of no changes are looked at, and what nobody has used for long is let go.
 * @param runIdleMs - after which a process of one run is stopped
 */
export const createUpkeep = ({
  context: { logger, now },
  table,
  hubs,
  health,
  store,
  runIdleMs,
}: {
  context: GatewayContext;
  table: ServerTable;
  hubs: ListenHubs;
  health: ServerHealth;
  store: UpstreamSessionStore;
  runIdleMs: number;
}) => {
  let storeSweptAt = now();
  const isListenedTo = ({ place }: Entry): boolean => (hubs.find(place.key)?.size ?? 0) > 0;

  const isIdle = (entry: Entry): boolean => {
    const { place, callsUnderWay, usedAt } = entry;
    const longestMs = place.session ? sessionIdleMs : place.principal ? callerIdleMs : place.run ? runIdleMs : Number.POSITIVE_INFINITY;
    return callsUnderWay === 0 && now() - usedAt >= longestMs && !isListenedTo(entry);
  };

  const freshen = (): void => {
    for (const entry of table.all()) {
      const { place, open, usedAt, looking } = entry;
      if (!open || looking || !('url' in place.server.spec) || open.feed.tellsOf('tools')) continue;
      const isInUse = now() - usedAt < inUseMs;
      const everyMs = isInUse ? inUseLookMs : isListenedTo(entry) ? listenedLookMs : Number.POSITIVE_INFINITY;
      if (now() - open.inspection.lookedAt >= everyMs) void table.refresh(entry);
    }
  };

  const sweep = async (): Promise<void> => {
    const tidy = (entry: Entry): Promise<void> | undefined =>
      isIdle(entry) ? table.retire(entry, { stopsInstance: !entry.place.session }) : entry.open?.sweep();
    await Promise.all(table.all().map(tidy));
    health.prune((key) => table.find(key) !== undefined);
    if (now() - storeSweptAt < storeSweepMs) return;
    storeSweptAt = now();
    await store.removeOld().catch((err) => logger.warn({ err }, 'old sessions at servers could not be forgotten'));
  };

  const timers = [setInterval(freshen, freshenMs), setInterval(() => void sweep(), sweepMs)];
  for (const timer of timers) timer.unref();

  return {
    sweep,
    close: (): void => {
      for (const timer of timers) clearInterval(timer);
    },
  };
};
