import type { UpstreamSessionKey, UpstreamSessionStore } from '../../store/mcp-upstream-sessions.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { KeptSession, SessionAtServer } from './kept-session.ts';

/**
 * Keeps one session at a server by URL in the database. A database that does not answer keeps nobody from calling.
 * @param url - where the session is opened; one that was opened elsewhere is not gone on with
 */
export const keepSession = (store: UpstreamSessionStore, key: UpstreamSessionKey, url: string, logger: Logger): KeptSession => {
  const warn = (err: unknown): undefined => {
    logger.warn({ err, server: key.server }, 'a session at a server could not be kept; it is this replica’s alone');
  };
  return {
    find: async () => {
      const found = await store.find(key).catch(warn);
      return found?.id !== undefined && found.url === url ? { id: found.id, protocolVersion: found.protocolVersion } : undefined;
    },
    keep: async (session: SessionAtServer) => {
      const kept = await store.keep(key, { ...session, url }).catch(warn);
      return kept?.id !== undefined && kept.url === url ? { id: kept.id, protocolVersion: kept.protocolVersion } : session;
    },
    lose: async (id) => {
      const found = await store.find(key).catch(warn);
      // another replica may have opened the next one already
      if (found?.id === id) await store.remove(key).catch(warn);
    },
  };
};
