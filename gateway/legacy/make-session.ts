import type { LogLevel } from '../../schema/mcp-revisions.ts';
import type { McpSessionRow } from '../../store/mcp-sessions.ts';
import type { ClientFacts, ClientSession } from '../mcp/client-request.ts';
import type { Session } from './session.ts';

/** What of a session may change in the database. */
export const stateOf = (row: McpSessionRow, now: number) => ({
  // written by this gateway in no other form
  client: row.client as ClientFacts,
  logLevel: (row.logLevel ?? undefined) as LogLevel | undefined,
  usedAt: now,
  notedAt: now,
  isStale: false,
});

/** A session in memory, as its row says. @param options.onLogLevel - called when the client has set another one */
export const makeSession = (
  row: McpSessionRow,
  { now, onLogLevel, notify, ask }: Pick<ClientSession, 'notify' | 'ask'> & { now: number; onLogLevel: (level: LogLevel) => void },
): Session => {
  const session: Session = {
    ...stateOf(row, now),
    notify,
    ask,
    id: row.id,
    principalName: row.principal,
    path: row.endpoint,
    transport: row.transport,
    texts: [],
    hasEnded: false,
    running: new Map(),
    readers: new Set(),
    saving: undefined,
    setLogLevel: (level) => {
      session.logLevel = level;
      onLogLevel(level);
    },
  };
  return session;
};
