import { createHash } from 'node:crypto';
import type { Tenancy } from '../../schema/ids.ts';
import type { UpstreamSessionStore } from '../../store/mcp-upstream-sessions.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { JsonObject } from '../mcp/message.ts';
import { askableCapabilities } from './initialize-params.ts';
import { keepSession } from './keep-session.ts';
import type { KeptSession } from './kept-session.ts';
import type { Session, StatefulSession } from './session.ts';
import type { CallerOfServer } from './upstream.ts';

/** A session that nobody used for so long is let go: at the server too where its caller has no end of its own. */
const idleMs = 300_000;
/** As the store sees it: a replica writes its use down a little late. */
const idleElsewhereMs = 180_000;
/** Standing streams are let go sooner: each costs a connection. */
const standingIdleMs = 60_000;

type Entry = {
  session: StatefulSession;
  sessionKey: string;
  part: string;
  isOfModernCaller: boolean;
  usedAt: number;
  touchedAt: number;
};

export type CallerSessions = {
  of(caller: CallerOfServer): Session;
  /** The caller's session, if there is one. */
  find(caller: CallerOfServer): Session | undefined;
  /** Lets go what was not used for long. */
  sweep(): Promise<void>;
  /** Ends what this replica has open for a session key; what is kept in the database is ended by whoever takes it out there. */
  forgetKey(sessionKey: string): void;
  close(): void;
};

/**
 * Sessions at one legacy server, by who calls: what the server holds for one session key, or for other capabilities, meets no other.
 * @param server - names the sessions in the store; `part` is the place beyond that, such as a run
 * @param open - makes a session that is opened by its first request
 */
export const createCallerSessions = ({
  server,
  url,
  store,
  logger,
  now,
  open,
}: {
  server: Tenancy & { server: string; uid: string };
  url: string;
  /** Absent where sessions cannot be gone on with elsewhere. */
  store: UpstreamSessionStore | undefined;
  logger: Logger;
  now: () => number;
  open: (client: { info?: { name: string; version: string }; capabilities: JsonObject }, kept: KeptSession | undefined) => StatefulSession;
}): CallerSessions => {
  const entries = new Map<string, Entry>();
  const { org, project } = server;
  const keyOf = ({ sessionKey, part }: Pick<Entry, 'sessionKey' | 'part'>) => ({ org, project, server: server.server, sessionKey, part });
  const warn = (err: unknown): void => logger.warn({ err, server: server.server }, 'a session at a server could not be put in order');

  const create = (caller: CallerOfServer, capabilities: JsonObject): Entry => {
    const { sessionKey, client, run } = caller;
    const part = createHash('sha256')
      .update(JSON.stringify([server.uid, run?.runId, capabilities]))
      .digest('base64url')
      .slice(0, 22);
    const kept = store && keepSession(store, keyOf({ sessionKey, part }), url, logger);
    return {
      session: open({ ...(client.info ? { info: client.info } : {}), capabilities }, kept),
      sessionKey,
      part,
      isOfModernCaller: client.era === 'modern',
      usedAt: now(),
      touchedAt: now(),
    };
  };

  const touch = async (entry: Entry): Promise<void> => {
    if (entry.touchedAt >= entry.usedAt) return;
    entry.touchedAt = now();
    await store?.touch(keyOf(entry));
  };
  const letGo = async (key: string, entry: Entry): Promise<void> => {
    entries.delete(key);
    const isOver = entry.isOfModernCaller && (!store || (await store.removeIdle(keyOf(entry), idleElsewhereMs)));
    await entry.session.close({ atServer: isOver });
  };

  const entryKeyOf = ({ sessionKey }: CallerOfServer, capabilities: JsonObject): string => `${sessionKey}\n${JSON.stringify(capabilities)}`;

  return {
    find: (caller) => entries.get(entryKeyOf(caller, askableCapabilities(caller.client.capabilities)))?.session,
    of: (caller) => {
      const capabilities = askableCapabilities(caller.client.capabilities);
      const key = entryKeyOf(caller, capabilities);
      const entry = entries.get(key) ?? create(caller, capabilities);
      entries.set(key, entry);
      entry.usedAt = now();
      return entry.session;
    },
    sweep: async () => {
      for (const [key, entry] of entries) {
        const unusedMs = entry.session.load > 0 ? 0 : now() - entry.usedAt;
        if (unusedMs >= standingIdleMs) entry.session.sitDown();
        await (unusedMs >= idleMs ? letGo(key, entry) : touch(entry)).catch(warn);
      }
    },
    forgetKey: (sessionKey) => {
      for (const [key, entry] of entries)
        if (entry.sessionKey === sessionKey) {
          entries.delete(key);
          void entry.session.close({ atServer: store === undefined });
        }
    },
    close: () => {
      for (const { session } of entries.values()) void session.close();
      entries.clear();
    },
  };
};
