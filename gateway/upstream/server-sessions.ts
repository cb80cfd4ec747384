import type { UpstreamSessionStore } from '../../store/mcp-upstream-sessions.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { isObject } from '../mcp/message.ts';
import { createCallerSessions } from './caller-sessions.ts';
import { createEventSession } from './event-session.ts';
import type { Greeted } from './greet-server.ts';
import { askableCapabilities } from './initialize-params.ts';
import { createLegacySession } from './legacy-session.ts';
import { createModernSession } from './modern-session.ts';
import type { Place } from './place.ts';
import type { Session } from './session.ts';
import type { CallerOfServer } from './upstream.ts';
import type { Wire } from './wire.ts';

/** So many modern callers are remembered, with what each request says of them. */
const mostModernCallers = 1000;

export type ServerSessions = {
  /** @param caller - undefined: the gateway itself */
  of(caller: CallerOfServer | undefined): Session;
  /** The session that is this caller's alone, as far as there is one: what only concerns the caller is told there. */
  ownOf(caller: CallerOfServer): Session | undefined;
  sweep(): Promise<void>;
  forgetKey(sessionKey: string): void;
  close(): void;
};

/** Which session at a server a caller's requests go through: the gateway's own where nothing is held for one caller, else the caller's. */
export const createServerSessions = ({
  context,
  place: { server, session: alone },
  wire,
  greeted,
  store,
  timeoutMs,
  onContradiction,
  markStale,
}: {
  context: GatewayContext;
  place: Place;
  wire: Wire;
  greeted: Greeted;
  store: UpstreamSessionStore | undefined;
  timeoutMs: number;
  onContradiction(): void;
  markStale(): void;
}): ServerSessions => {
  const { greeting, session: own, way } = greeted;
  const { org, project, name } = server.metadata;
  const hasLogging = (): boolean => isObject(greeting.capabilities.logging);
  // what a caller's session tells of lists, the gateway's own session tells too, or the next look does
  const parts = { wire, openTimeoutMs: timeoutMs, hasLogging, onContradiction, onForgotten: markStale, onOther: markStale };

  const callers = createCallerSessions({
    server: { org, project, server: name, uid: server.uid },
    url: wire.url.href,
    // a session that is one connection, or that our host keeps, cannot be gone on with elsewhere
    store: way === 'legacy' && !wire.isOurHost ? store : undefined,
    logger: context.logger,
    now: context.now,
    open: (client, kept) =>
      way === 'event-stream' ? createEventSession({ ...parts, client }) : createLegacySession({ ...parts, client, kept }),
  });

  const modernCallers = new Map<string, Session>();
  const modernSession = ({ client }: CallerOfServer): Session => {
    const key = JSON.stringify([client.info, client.capabilities]);
    const known = modernCallers.get(key);
    if (known) return known;
    if (modernCallers.size >= mostModernCallers) modernCallers.clear();
    const session = createModernSession({ wire, greeting, client, onContradiction });
    modernCallers.set(key, session);
    return session;
  };

  /** Whether the server holds nothing for one caller that another could meet. */
  const isAlike = ({ client, logLevel }: CallerOfServer): boolean => {
    if (wire.isOurHost) return logLevel === undefined || !hasLogging();
    return 'hasId' in own && !own.hasId && Object.keys(askableCapabilities(client.capabilities)).length === 0;
  };

  return {
    of: (caller) => {
      if (!caller) return own;
      if (way === 'modern') return modernSession(caller);
      return alone || isAlike(caller) ? own : callers.of(caller);
    },
    ownOf: (caller) => (alone ? own : way === 'modern' ? undefined : callers.find(caller)),
    sweep: callers.sweep,
    forgetKey: callers.forgetKey,
    close: callers.close,
  };
};
