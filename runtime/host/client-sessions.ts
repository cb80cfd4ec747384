import { randomUUID } from 'node:crypto';
import type { LogLevel } from '../../schema/mcp-revisions.ts';
import type { JsonRpcMessage } from '../stdio/json-rpc.ts';

/** A standing stream of a session. `closed` is aborted when nobody reads it any more. */
export type StandingStream = { send(message: JsonRpcMessage): boolean; end(): void; readonly closed: AbortSignal };

/** What one `initialize` of a client began. */
export type ClientSession = {
  readonly id: string;
  /** Milliseconds on the host's clock. */
  usedAt: number;
  stream?: StandingStream;
  /** URIs it wants to hear of. */
  readonly resources: Set<string>;
  /** Least urgent messages it wants; undefined = the server decides. */
  logLevel?: LogLevel;
  isOver: boolean;
};

export type ClientSessions = ReturnType<typeof createClientSessions>;

/**
 * The sessions of one instance, over all processes it has had.
 * @param parts.isAtWork - whether a request of the session is under way
 * @param parts.onEnd - told of every session that was ended or forgotten
 */
export const createClientSessions = (
  now: () => number,
  { isAtWork, onEnd }: { isAtWork(session: ClientSession): boolean; onEnd(session: ClientSession): void },
) => {
  const sessions = new Map<string, ClientSession>();
  const end = (session: ClientSession): void => {
    if (!sessions.delete(session.id)) return;
    session.isOver = true;
    session.stream?.end();
    onEnd(session);
  };
  return {
    begin: (): ClientSession => {
      const session: ClientSession = { id: randomUUID(), usedAt: now(), resources: new Set(), isOver: false };
      sessions.set(session.id, session);
      return session;
    },
    /** The session, used at this moment. */
    use: (id: string): ClientSession | undefined => {
      const session = sessions.get(id);
      if (session) session.usedAt = now();
      return session;
    },
    end,
    endAll: (): void => {
      for (const session of [...sessions.values()]) end(session);
    },
    /** Ends those that had neither a request under way nor a stream for so long. */
    forgetUnused: (longestMs: number): void => {
      for (const session of [...sessions.values()]) {
        if (session.stream || isAtWork(session)) session.usedAt = now();
        if (now() - session.usedAt >= longestMs) end(session);
      }
    },
    all: (): ClientSession[] => [...sessions.values()],
  };
};
