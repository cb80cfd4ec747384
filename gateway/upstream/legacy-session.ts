import type { LogLevel } from '../../schema/mcp-revisions.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import type { Notification } from '../mcp/message.ts';
import { createFlightTable } from './flight-table.ts';
import { internalRequest } from './internal-request.ts';
import type { KeptSession } from './kept-session.ts';
import { createLegacyTransmit } from './legacy-transmit.ts';
import { endLegacy, type OpenLegacy, openLegacy } from './open-legacy.ts';
import { postMessage } from './post-message.ts';
import { readAnswer } from './read-answer.ts';
import type { SendOptions, StandHooks, StatefulSession } from './session.ts';
import { createStandingStream, type StandingStream } from './standing-stream.ts';
import type { UpstreamRequest } from './upstream.ts';
import { UpstreamLost } from './upstream-lost.ts';
import { acceptEvents, pathOf, type Wire } from './wire.ts';

/** How long a request waits for the session's standing stream, on which a server may ask or log; then it goes without. */
const standingWaitMs = 500;

export type LegacySessionParts = {
  wire: Wire;
  /** What the server is told of its client. */
  client: Pick<ClientFacts, 'info' | 'capabilities'>;
  openTimeoutMs: number;
  /** Several callers share it: what comes beside their requests reaches none of them. */
  isShared?: boolean;
  /** Where the session is kept for other replicas. */
  kept?: KeptSession | undefined;
  /** Whether the server takes `logging/setLevel`. */
  hasLogging(): boolean;
  onOther(notification: Notification): void;
  /** An answer shows that the server is of another era than was found out. */
  onContradiction(): void;
  /** The server no longer knows the session, so it may have been started anew. */
  onForgotten(): void;
};

/**
 * A session at a server of the revisions up to 2025-11-25 over streamable HTTP, opened by its first request, and again when the server has
 * forgotten it.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
export const createLegacySession = (parts: LegacySessionParts): StatefulSession => {
  const { wire, client, kept, openTimeoutMs, onContradiction } = parts;
  const path = pathOf(wire.url);
  let opening: Promise<OpenLegacy> | undefined;
  let current: OpenLegacy | undefined;
  let standing: StandingStream | undefined;

  let onStray: SendOptions['onStray'];
  const flights = createFlightTable({
    answer: (message) => void postMessage(wire, path, current?.headers ?? wire.headers, message),
    onOther: parts.onOther,
    onStray: (notification) => onStray?.(notification),
    isShared: parts.isShared,
  });

  /** @param lost - id of a session that the server does not know any more */
  const begin = async (lost?: string): Promise<OpenLegacy> => {
    // first: whoever looks for the kept session is not to find that one
    if (lost !== undefined) await kept?.lose(lost);
    try {
      current = await openLegacy({ wire, client, kept, openTimeoutMs, flights, onContradiction });
      return current;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  };
  const opened = (): Promise<OpenLegacy> => {
    opening ??= begin();
    return opening;
  };

  const renew = (forgotten: OpenLegacy): Promise<OpenLegacy> => {
    if (current === forgotten) {
      current = undefined;
      sitDown();
      // at once, so that all requests that were sent back wait for the same next session
      opening = begin(forgotten.id);
      parts.onForgotten();
    }
    return opened();
  };
  const transmit = createLegacyTransmit({ wire, capabilities: client.capabilities, flights, renew, onContradiction });

  const setLevel = async (open: OpenLegacy, level: LogLevel): Promise<void> => {
    open.level = level;
    await transmit(open, internalRequest('logging/setLevel', { level }, openTimeoutMs), {}).catch(() => undefined);
  };

  const openStream = (open: OpenLegacy, hooks: StandHooks): StandingStream =>
    createStandingStream({
      ...hooks,
      open: ({ up, ended }, from) => {
        const headers = [...acceptEvents, ...open.headers, ...(from === undefined ? [] : ['last-event-id', from])];
        return readAnswer(
          wire.sender,
          { method: 'GET', path, headers, isStanding: true },
          {
            onStart: (status, given) => {
              if (status >= 300) return undefined;
              if (!String(given['content-type']).startsWith('text/event-stream'))
                return { kind: 'refused', status, headers: given, body: '' };
              up();
              return undefined;
            },
            onMessage: flights.route,
            onEnd: (end) => ended(end.kind === 'refused' && end.status < 500 ? 'none' : 'again'),
          },
        );
      },
    });

  const stand = async (hooks: StandHooks = {}): Promise<StandingStream> => {
    const open = await opened();
    standing ??= openStream(open, hooks);
    return standing;
  };
  const sitDown = (): void => {
    standing?.close();
    standing = undefined;
  };

  /** What a server asks or logs outside the request's own stream goes to the standing one, and nowhere while there is none. */
  const standFor = async (open: OpenLegacy, { onAsk }: UpstreamRequest, { logLevel }: SendOptions): Promise<void> => {
    if (open.id === undefined || standing?.isUp || wire.isOurHost || (onAsk === undefined && logLevel === undefined)) return;
    const { first } = await stand();
    await Promise.race([first, new Promise((resolve) => setTimeout(resolve, standingWaitMs))]);
  };

  const openedForRequest = (): Promise<OpenLegacy> =>
    opened().catch((error: unknown) => {
      throw error instanceof UpstreamLost ? new UpstreamLost(false, error.cause, error.reason) : new UpstreamLost(false, error, 'refused');
    });

  return {
    era: 'legacy',
    get load() {
      return flights.size;
    },
    get hasId() {
      return current?.id !== undefined;
    },
    open: async () => (await opened()).greeting,
    send: async (request, options = {}) => {
      const { signal } = request;
      if (signal.aborted) throw new UpstreamLost(false, signal.reason, 'caller');
      const open = current ?? (await openedForRequest());
      const { logLevel } = options;
      onStray = options.onStray;
      if (logLevel !== undefined && logLevel !== open.level && parts.hasLogging()) await setLevel(open, logLevel);
      await standFor(open, request, options);
      if (signal.aborted) throw new UpstreamLost(false, signal.reason, 'caller');
      return transmit(open, request, options);
    },
    notify: (notification) => {
      if (current) void postMessage(wire, path, current.headers, { jsonrpc: '2.0', ...notification });
    },
    stand,
    sitDown,
    close: async ({ atServer = false } = {}) => {
      sitDown();
      const open = current ?? (await opening?.catch(() => undefined));
      if (atServer && open) await endLegacy(wire, open);
    },
  };
};
