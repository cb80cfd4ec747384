import type { Logger } from '../telemetry/logger.ts';
import type { Database } from './database.ts';
import { listenTo } from './listen-to.ts';

const channel = 'quarterdeck_mcp';

/** What replicas of the gateway tell each other. Lost when nobody listens: whoever waits for one also looks from time to time. */
export type McpBusMessage =
  /** An answer to a question was left. */
  | { kind: 'answer'; id: string }
  /** A client takes a request back; `request` is a digest of its id. */
  | { kind: 'cancel'; session: string; request: string }
  | { kind: 'session-ended'; session: string }
  /** What a session keeps was changed: a cached copy is stale. */
  | { kind: 'session-changed'; session: string }
  /** Somebody reads the stream of a request that another replica writes, and wants to hear of new events. */
  | { kind: 'follow'; stream: string }
  /** There are new events in streams. */
  | { kind: 'events'; streams: string[] }
  /** The sender sends a standing stream from now on. */
  | { kind: 'taken'; stream: string }
  /** A task or parked call has another state; its client answered, or takes it back: for the replica that runs it. */
  | { kind: 'task'; id: string; what: 'changed' | 'answered' | 'cancelled' };

/**
 * Joins the replicas by LISTEN and NOTIFY. Listening begins by itself, and again whenever the connection was lost.
 * @param options.instance - this replica; its own messages do not come back to it
 * @param options.onListening - called each time listening begins: what was said before that is lost
 */
export const createMcpBus = ({
  database,
  instance,
  logger,
  onMessage,
  onListening,
  retryDelayMs,
}: {
  database: Database;
  instance: string;
  logger: Logger;
  onMessage: (message: McpBusMessage) => void;
  onListening: () => void;
  retryDelayMs?: number;
}) => {
  let closed = false;
  const listener = listenTo(channel, {
    database,
    logger,
    onMessage: (payload) => {
      const { from, ...message } = JSON.parse(payload) as McpBusMessage & { from: string };
      if (from !== instance) onMessage(message as McpBusMessage);
    },
    onListening,
    retryDelayMs,
  });

  return {
    /** Tells the other replicas; does not wait, and does not fail. */
    tell: (message: McpBusMessage): void => {
      if (closed) return;
      database.$client
        .query('select pg_notify($1, $2)', [channel, JSON.stringify({ ...message, from: instance })])
        .catch((error) => logger.warn({ err: error, kind: message.kind }, 'another replica could not be told'));
    },
    close: (): void => {
      closed = true;
      listener.close();
    },
  };
};
export type McpBus = ReturnType<typeof createMcpBus>;
