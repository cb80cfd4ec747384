import { newestModern } from '../../schema/mcp-revisions.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import type { Notification, RpcError } from '../mcp/message.ts';
import { createEventSession } from './event-session.ts';
import { createLegacySession } from './legacy-session.ts';
import { createModernSession } from './modern-session.ts';
import { type FoundEra, probeEra } from './probe-era.ts';
import { isModernError, RefusedByStatus } from './refusal.ts';
import type { Greeting, Session, StatefulSession } from './session.ts';
import { UpstreamLost } from './upstream-lost.ts';
import type { Wire } from './wire.ts';

/** How a server is spoken to; what was found out once is not asked again while it holds. */
export type Way = 'modern' | 'legacy' | 'event-stream';

/** A server that has greeted: the gateway's own session with it, and what it said of itself. */
export type Greeted =
  | { way: 'modern'; greeting: Greeting; session: Session }
  | { way: 'legacy' | 'event-stream'; greeting: Greeting; session: StatefulSession };

export type GreetParts = {
  wire: Wire;
  /** Where it is known already; a modern server is asked for its greeting all the same. */
  way: Way | undefined;
  client: Pick<ClientFacts, 'info' | 'capabilities'>;
  /** The session is not one caller's. */
  isShared: boolean;
  timeoutMs: number;
  onNotification(notification: Notification): void;
  onContradiction(): void;
  onForgotten(): void;
};

/** Where a streamable HTTP server would take the request, an old one has nothing, or another thing. */
const oldStatuses: readonly number[] = [400, 404, 405];

const statusOf = (error: unknown): number | undefined =>
  error instanceof UpstreamLost && error.cause instanceof RefusedByStatus ? error.cause.status : undefined;

const isModernRefusal = (error: unknown): boolean =>
  error instanceof UpstreamLost && error.reason === 'refused' && isModernError({ error: error.cause as RpcError | undefined });

/**
 * Finds out how a server is spoken to, newest way first, and opens the gateway's own session with it.
 * @throws {UpstreamLost | PlatformError} when it greets in no way
 */
export const greetServer = async (parts: GreetParts): Promise<Greeted> => {
  const { wire, client, isShared, timeoutMs, onNotification: onOther, onContradiction, onForgotten } = parts;
  let greeting: Greeting | undefined;
  const hasLogging = () => greeting?.capabilities.logging !== undefined;
  const common = { wire, client, isShared, openTimeoutMs: timeoutMs, hasLogging, onOther, onContradiction, onForgotten };

  const modern = (found: Extract<FoundEra, { era: 'modern' }>): Greeted => ({
    way: 'modern',
    greeting: found.greeting,
    session: createModernSession({ wire, greeting: found.greeting, client, onContradiction }),
  });
  const opened = async (way: 'legacy' | 'event-stream', session: StatefulSession): Promise<Greeted> => {
    greeting = await session.open();
    return { way, greeting, session };
  };
  const asEventStream = (): Promise<Greeted> => opened('event-stream', createEventSession(common));

  if (parts.way === 'event-stream') return asEventStream();
  if (parts.way !== 'legacy') {
    const found = await probeEra(wire, timeoutMs);
    if (found.era === 'modern') return modern(found);
  }
  try {
    return await opened('legacy', createLegacySession(common));
  } catch (error) {
    if (isModernRefusal(error)) return modern({ era: 'modern', greeting: { protocolVersion: newestModern, capabilities: {} } });
    if (wire.isOurHost || !oldStatuses.includes(statusOf(error) ?? 0)) throw error;
    return await asEventStream().catch(() => {
      throw error;
    });
  }
};
