import type { Era } from '../../schema/mcp-revisions.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { RunOfServer } from '../mcp/launch-of.ts';
import type { JsonObject, Notification } from '../mcp/message.ts';
import type { CallerOfServer, Connection, ListenFilter } from './upstream.ts';

export type McpServer = StoredResource<'McpServer'>;

/** A standing stream from a server, shared by all who listen to the same things. */
export type Listening = { readonly accepted: ListenFilter; close(): void };

/** What a server said of itself at the last look or connection, whoever's it was. */
export type ServerFacts = { era: Era; capabilities: JsonObject; instructions?: string };

/** Connections to all servers of the platform. */
export type UpstreamPool = {
  /**
   * The connection for one caller: opened, or found open. Whatever the server offers was compared with its pins at most `longestAgeMs` ago.
   * @throws {PlatformError} `server_unavailable` (also at once while the server's breaker is open), `isolation_unavailable`, `input_invalid`
   */
  connect(server: McpServer, caller: CallerOfServer, options?: { longestAgeMs?: number }): Promise<Connection>;
  /**
   * Forgets a connection that gave no answer: the next call goes through another, after the server was looked at. Without a connection all
   * that is open to the server there is let go, and opened anew; without a session key it is the gateway's own.
   */
  forget(server: McpServer, caller: CallerOfServer | { run?: RunOfServer }, connection?: Connection): void;
  /** The gateway's own connection to a server, looked at `longestAgeMs` ago at most (60,000): its definitions were compared with the pins. */
  look(server: McpServer, run: RunOfServer | undefined, options?: { longestAgeMs?: number }): Promise<Connection>;
  /**
   * Hears of changes: `notifications/{tools,prompts,resources}/list_changed` and `notifications/resources/updated`, whatever the era.
   * The stream is opened once for all listeners, and opened again when it breaks; the lists are told to have changed then.
   * @param caller - of a server of which each session has a process of its own (`instance: session`): whose process is meant
   */
  listen(
    server: McpServer,
    run: RunOfServer | undefined,
    filter: ListenFilter,
    onNotification: (notification: Notification) => void,
    caller?: CallerOfServer,
  ): Promise<Listening>;
  /** Tells a server something of a caller who has a session there; where there is none, nothing is opened for it. */
  tell(server: McpServer, caller: CallerOfServer, notification: Notification): void;
  /** What the last calls say of a server: `open` = not asked at the moment, `half-open` = one call tries it. */
  healthOf(server: McpServer): 'closed' | 'open' | 'half-open';
  /** What is known of a server without asking it; undefined until it has answered once. */
  factsOf(server: McpServer): ServerFacts | undefined;
  /** Calls back when the health or the facts of a server have changed, until the returned function is called. */
  onServerChange(listener: (server: McpServer) => void): () => void;
  /** Ends what servers hold for a session key. */
  endSession(sessionKey: string): Promise<void>;
  /** Lets go of all that is open to a server, and of what is remembered of its health; whoever asks next opens it anew. */
  letGo(server: McpServer): Promise<void>;
  /** Ends what belongs to servers that were deleted or changed. */
  dropUndeclared(): Promise<void>;
  close(): Promise<void>;
};
