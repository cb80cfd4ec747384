import { randomBytes } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import type { McpBus } from '../../store/mcp-bus.ts';
import type { McpSessionRow, McpSessionStore } from '../../store/mcp-sessions.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientFacts, ClientSession } from '../mcp/client-request.ts';
import { type Principal, principalName } from '../principal.ts';
import { createUseNotes } from './create-use-notes.ts';
import type { LegacyLimits } from './legacy-limits.ts';
import { makeSession, stateOf } from './make-session.ts';
import type { Session } from './session.ts';
import type { SessionTexts } from './session-text.ts';

type Change = Partial<Pick<McpSessionRow, 'client' | 'logLevel'>>;

/**
 * Sessions of legacy clients. The rows in the database are the truth; here is a copy of each that is in use, found by the text that the
 * client sends without asking the database, and dropped when nothing needs it.
 * @param options.reach - how a session's client is told and asked something outside a request
 * @param options.onEnded - called once at this replica for each session that ended, wherever it ended
 */
export const createSessions = ({
  context: { logger, now },
  store,
  texts,
  bus,
  limits,
  reach,
  onEnded,
}: {
  context: Pick<GatewayContext, 'logger' | 'now'>;
  store: McpSessionStore;
  texts: SessionTexts;
  bus: () => Pick<McpBus, 'tell'>;
  limits: LegacyLimits;
  reach: (session: string) => Pick<ClientSession, 'notify' | 'ask'>;
  onEnded: (id: string, session: Session | undefined) => void;
}) => {
  /** A text is good for its own time only. */
  const byText = new Map<string, { session: Session; expiresAt: number }>();
  const byId = new Map<string, Session>();
  const loading = new Map<string, Promise<Session | undefined>>();
  const idleSince = (): Date => new Date(now() - limits.idleMs);
  const forget = (session: Session): void => {
    byId.delete(session.id);
    for (const text of session.texts) byText.delete(text);
  };
  const end = (id: string): void => {
    const session = byId.get(id);
    if (session) {
      forget(session);
      session.hasEnded = true;
    }
    onEnded(id, session);
  };

  const change = (session: Session, what: Change): Promise<void> => {
    const saving = (session.saving ?? Promise.resolve())
      .then(() => store.change(session.id, what))
      .then(() => bus().tell({ kind: 'session-changed', session: session.id }))
      .catch((error) => logger.error({ err: error }, 'a change of a session could not be written down'))
      .finally(() => {
        if (session.saving === saving) session.saving = undefined;
      });
    session.saving = saving;
    return saving;
  };

  const keep = (row: McpSessionRow): Session => {
    const known = byId.get(row.id);
    // what is being written down is newer than what was read
    if (known) return Object.assign(known, known.saving ? { usedAt: now() } : stateOf(row, now()));
    const session = makeSession(row, { ...reach(row.id), now: now(), onLogLevel: (level) => void change(session, { logLevel: level }) });
    byId.set(row.id, session);
    return session;
  };

  const load = (id: string): Promise<Session | undefined> => {
    let under = loading.get(id);
    if (!under) {
      under = store
        .use(id, new Date(now()), idleSince())
        .then((row) => {
          if (row) return keep(row);
          if (byId.has(id)) end(id);
        })
        .finally(() => loading.delete(id));
      loading.set(id, under);
    }
    return under;
  };

  const notes = createUseNotes({ store, logger, now, idleSince, onGone: (session) => end(session.id) });
  const use = (session: Session): Session => {
    session.usedAt = now();
    if (session.usedAt - session.notedAt >= limits.noteUseMs) notes.note(session);
    return session;
  };
  const addText = (session: Session): string => {
    const { id, principalName: principal, path: endpoint } = session;
    const expiresAt = now() + limits.lifetimeMs;
    const text = texts.write({ id, principal, endpoint, expiresAt });
    session.texts.push(text);
    byText.set(text, { session, expiresAt });
    return text;
  };

  return {
    /**
     * Begins a session; it is committed when this resolves. @returns it, and the text by which its client names it
     * @throws {PlatformError} `sessions_exhausted`, `store_unavailable`
     */
    begin: async (
      principal: Principal,
      endpoint: Endpoint,
      { transport, client }: Pick<Session, 'transport' | 'client'>,
    ): Promise<{ session: Session; text: string }> => {
      const row: McpSessionRow = {
        id: `ses_${randomBytes(16).toString('base64url')}`,
        org: principal.org,
        principal: principalName(principal),
        endpoint: endpoint.path,
        transport,
        client,
        logLevel: null,
      };
      const allowed = { perPrincipal: limits.sessionsPerPrincipal, total: limits.sessionsInAll };
      if ((await store.insert(row, allowed, new Date(now()), idleSince())) === 'full')
        throw new PlatformError('sessions_exhausted', 'There are as many sessions as there may be; end one, or try again later.');
      const session = keep(row);
      return { session, text: addText(session) };
    },

    /** Another text for a session whose client has lost its own. */
    addText,

    /** The session that a client names: at once where this replica knows it. Undefined when there is none for this caller here. */
    find: (text: string, principal: Principal, endpoint: Endpoint): Session | undefined | Promise<Session | undefined> => {
      const isFor = (session: Session): boolean => session.principalName === principalName(principal) && session.path === endpoint.path;
      const { session: known, expiresAt = 0 } = byText.get(text) ?? {};
      if (known && !known.isStale && expiresAt > now() && now() - known.usedAt < limits.cacheMs)
        return isFor(known) ? use(known) : undefined;
      const claims = texts.read(text);
      if (!claims || claims.expiresAt <= now()) return undefined;
      if (claims.principal !== principalName(principal) || claims.endpoint !== endpoint.path) return undefined;
      return load(claims.id).then((session) => {
        if (!session || !isFor(session)) return undefined;
        if (!byText.has(text)) session.texts.push(text);
        byText.set(text, { session, expiresAt: claims.expiresAt });
        return session;
      });
    },

    /** The session of an id of ours, for its own principal and endpoint only. */
    takeUp: async (id: string, principal: Principal, endpoint: Endpoint): Promise<Session | undefined> => {
      const session = await load(id);
      return session?.principalName === principalName(principal) && session.path === endpoint.path ? session : undefined;
    },

    /** What a client says of itself later than when its session began. */
    setClient: (session: Session, client: ClientFacts): Promise<void> => {
      session.client = client;
      return change(session, { client });
    },

    /** Ends a session everywhere. */
    remove: async (session: Session): Promise<void> => {
      if (!(await store.remove(session.id))) return;
      bus().tell({ kind: 'session-ended', session: session.id });
      end(session.id);
    },

    /** A session is known to have ended. */
    ended: end,
    running: (id: string): Map<string, AbortController> | undefined => byId.get(id)?.running,
    onChanged: (id: string): void => {
      const session = byId.get(id);
      if (session && !session.saving) session.isStale = true;
    },
    /** Notices may have been missed: everything is looked up again at its next use, and what is in use at once. */
    distrust: (): void => {
      for (const session of byId.values()) {
        session.isStale = true;
        if (session.readers.size > 0 || session.running.size > 0) notes.note(session);
      }
    },

    /** Notes sessions that are read though not asked, and drops those that nobody uses from memory. */
    tidy: (): void => {
      for (const session of byId.values()) {
        const isRead = session.readers.size > 0;
        if (isRead && now() - session.notedAt >= limits.noteReadingMs) notes.note(session);
        if (!isRead && session.running.size === 0 && now() - session.usedAt >= limits.cacheMs) forget(session);
      }
    },
    /** How many this replica holds in memory. */
    size: (): number => byId.size,
    drained: notes.drained,
  };
};
export type Sessions = ReturnType<typeof createSessions>;
