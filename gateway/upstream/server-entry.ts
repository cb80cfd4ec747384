import type { CallShares } from './call-shares.ts';
import type { OpenServer } from './open-server.ts';
import type { Place } from './place.ts';
import type { Health } from './server-health.ts';
import type { McpServer } from './upstream-pool.ts';

/** A place that is spoken to, or about to be. */
export type Entry = {
  readonly place: Place;
  readonly health: Health;
  readonly opening: Promise<OpenServer>;
  open?: OpenServer;
  /** A new comparison that is under way. */
  looking?: Promise<void>;
  /** Lists that the server said have changed, until they were looked at. */
  readonly told: Set<string>;
  /** When a caller last asked for it. */
  usedAt: number;
  callsUnderWay: number;
  readonly shares: CallShares;
  /** Set when nobody gets it any more: it ends with its last call, and with it its instance where that is to stop. */
  end?: { stopsInstance: boolean };
};

export type ReadyEntry = Entry & { open: OpenServer };

/** Whether it is of this very resource, at this generation. */
export const isOf = ({ place }: Entry, { uid, generation }: McpServer): boolean =>
  place.server.uid === uid && place.server.generation === generation;
export const isReady = (entry: Entry): entry is ReadyEntry => entry.open !== undefined;
