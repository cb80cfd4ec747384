import { PlatformError } from '../../schema/errors.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { Reply } from '../mcp/message.ts';
import { rpcCodes } from '../mcp/message.ts';
import { resourceNotFoundCode } from '../surface/refuse.ts';
import { RpcRefusal } from './error-reply.ts';
import type { Subscription } from './subscribe-resource.ts';

/** How many resources one session may be subscribed to. */
const maxPerSession = 1000;
const done: Reply = { kind: 'result', result: {} };

const uriOf = ({ params: { uri } }: ClientRequest): string => {
  if (typeof uri !== 'string') throw new PlatformError('request_invalid', 'Invalid params: `uri` is missing or no string.');
  return uri;
};

/** What legacy sessions are subscribed to; changes go to a session's standing stream. */
export const createSessionSubscriptions = (
  subscribe: (request: ClientRequest, uri: string, onUpdate: (uri: string) => void) => Promise<Subscription>,
) => {
  const sessions = new Map<string, Map<string, () => void>>();

  const ofSession = (id: string): Map<string, () => void> => {
    const stops = sessions.get(id) ?? new Map<string, () => void>();
    sessions.set(id, stops);
    return stops;
  };
  const leave = (id: string, uri: string): void => {
    const stops = sessions.get(id);
    stops?.get(uri)?.();
    stops?.delete(uri);
    if (stops?.size === 0) sessions.delete(id);
  };

  return {
    /** `resources/subscribe`. @throws {PlatformError} `request_invalid`, {RpcRefusal} for what there is not, or cannot be subscribed to */
    subscribe: async (request: ClientRequest): Promise<Reply> => {
      const { session } = request;
      const uri = uriOf(request);
      if (!session) throw new RpcRefusal({ code: rpcCodes.methodNotFound, message: 'Subscriptions need a session.' });
      const stops = ofSession(session.id);
      if (stops.has(uri)) return done;
      if (stops.size >= maxPerSession)
        throw new PlatformError(
          'request_invalid',
          `A session is subscribed to ${maxPerSession} resources at most; unsubscribe from others first.`,
        );
      const subscription = await subscribe(request, uri, (changed) =>
        session.notify({ method: 'notifications/resources/updated', params: { uri: changed } }),
      );
      if (subscription.kind === 'unknown')
        throw new RpcRefusal({
          code: resourceNotFoundCode('legacy'),
          message: 'Resource not found',
          data: { uri, decisionId: subscription.decisionId },
        });
      if (subscription.kind === 'not-taken')
        throw new RpcRefusal({ code: rpcCodes.methodNotFound, message: 'The server of this resource takes no subscriptions.' });
      // the same request may have come twice, and the session may have ended meanwhile
      if (sessions.get(session.id) !== stops || stops.has(uri)) subscription.stop();
      else stops.set(uri, subscription.stop);
      return done;
    },

    /** `resources/unsubscribe`; what was not subscribed to is as good as unsubscribed. */
    unsubscribe: async (request: ClientRequest): Promise<Reply> => {
      const uri = uriOf(request);
      if (request.session) leave(request.session.id, uri);
      return done;
    },

    sessionEnded: (id: string): void => {
      for (const stop of sessions.get(id)?.values() ?? []) stop();
      sessions.delete(id);
    },
  };
};
