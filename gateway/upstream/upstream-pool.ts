import type { StoredResource } from '../../schema/resource.ts';
import type { RunOfServer } from '../mcp/launch-of.ts';
import type { Notification } from '../mcp/message.ts';
import type { CallerOfServer, Connection, ListenFilter } from './upstream.ts';

export type McpServer = StoredResource<'McpServer'>;

/** A standing stream from a server, shared by all who listen to the same things. */
export type Listening = { readonly accepted: ListenFilter; close(): void };

/** Connections to all servers of the platform. */
export type UpstreamPool = {
  /**
   * The connection for one caller: opened, or found open. Whatever the server offers was compared with its pins at most `longestAgeMs` ago.
   * @throws {PlatformError} `server_unavailable` (also at once while the server's breaker is open), `isolation_unavailable`, `input_invalid`
   */
  connect(server: McpServer, caller: CallerOfServer, options?: { longestAgeMs?: number }): Promise<Connection>;
  /** Forgets a connection that gave no answer; the next call opens another. */
  forget(server: McpServer, caller: CallerOfServer, connection?: Connection): void;
  /** Looks at a server on a connection of the gateway's own: its definitions are compared with the pins. */
  look(server: McpServer, run: RunOfServer | undefined): Promise<Connection>;
  /**
   * Hears of changes: `notifications/{tools,prompts,resources}/list_changed` and `notifications/resources/updated`, whatever the era.
   * The stream is opened once for all listeners, and opened again when it breaks.
   */
  listen(
    server: McpServer,
    run: RunOfServer | undefined,
    filter: ListenFilter,
    onNotification: (notification: Notification) => void,
  ): Promise<Listening>;
  /** What the last calls say of a server: `open` = not asked at the moment, `half-open` = one call tries it. */
  healthOf(server: McpServer): 'closed' | 'open' | 'half-open';
  /** Ends what servers hold for a session key. */
  endSession(sessionKey: string): Promise<void>;
  /** Ends what belongs to servers that were deleted or changed. */
  dropUndeclared(): Promise<void>;
  close(): Promise<void>;
};
