import type { Logger } from '../../telemetry/logger.ts';
import { errorText } from '../edge/answer-json.ts';
import type { EdgeRequest } from '../edge/legacy-edge.ts';
import type { ClientFacts, ClientRequest } from '../mcp/client-request.ts';
import { type JsonObject, type Reply, type RequestId, rpcCodes } from '../mcp/message.ts';
import type { Surface } from '../surface/surface.ts';
import type { Questions } from './create-questions.ts';
import type { Subscriptions } from './create-subscriptions.ts';
import { errorReply } from './error-reply.ts';
import type { Outlet } from './outlet.ts';
import { requestKey } from './request-key.ts';
import type { Session } from './session.ts';

export type RunningRequest = {
  from: EdgeRequest;
  session: Session | undefined;
  client: ClientFacts;
  message: { id: RequestId; method: string; params: JsonObject };
  outlet: Outlet;
};
/** How long a request may take to end after it was told to. */
const heedMs = 500;
const noHeaders: Readonly<Record<string, string>> = {};

const changesSubscription = (method: string): boolean => method === 'resources/subscribe' || method === 'resources/unsubscribe';

/** Why a request ends before it is answered: its client wants no answer any more. */
export const takenBack = new DOMException('The client has taken the request back.', 'AbortError');

export const replyText = (id: RequestId, reply: Reply): string =>
  reply.kind === 'error'
    ? errorText(id, reply.error)
    : `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${JSON.stringify(reply.result)}}`;

/** Runs requests of legacy clients to their end: losing the connection does not end one, `notifications/cancelled` does. */
export const createRequestRunner = ({
  surface,
  questions,
  subscriptions,
  logger,
}: {
  surface: Pick<Surface, 'handle'>;
  questions: Questions;
  subscriptions: Subscriptions;
  logger: Logger;
}) => {
  /** Everything under way at this replica, so that it can be waited for and ended. */
  const all = new Set<AbortController>();
  let onRest: (() => void) | undefined;

  /** @param over - aborted when the request is answered: nobody waits for what was asked then */
  const requestOf = (
    { from, session, client, message, outlet }: RunningRequest,
    signal: AbortSignal,
    over: () => AbortSignal,
  ): ClientRequest => {
    const { id, method, params } = message;
    const { principal, endpoint, request } = from;
    const idempotencyKey = request.headers['idempotency-key'];
    const ask = (of: Session): ClientRequest['ask'] => {
      const send = (text: string) => outlet.ask(text);
      return (question, asking) => questions.ask({ session: of.id, question, signal: AbortSignal.any([asking, signal, over()]), send });
    };
    return {
      id,
      method,
      params,
      principal,
      endpoint,
      client,
      parameterHeaders: noHeaders,
      // who did not say which messages it wants gets all, as from any legacy server
      logLevel: session?.logLevel ?? 'debug',
      signal,
      notify: (notification) => outlet.say(JSON.stringify({ jsonrpc: '2.0', ...notification })),
      ...(typeof idempotencyKey === 'string' ? { idempotencyKey } : {}),
      ...(request.headers.traceparent === undefined ? {} : { traceHeaders: request.headers }),
      ...(session ? { session } : {}),
      ...(session && outlet.canAsk ? { ask: ask(session) } : {}),
    };
  };

  const settle = async ({ from, message }: RunningRequest, session: Session, reply: Reply): Promise<void> => {
    if (reply.kind === 'result' && changesSubscription(message.method))
      await subscriptions.note({ ...from, session }, message.method, message.params.uri);
    // what the request changed of its session is there for all replicas before the client hears of it
    await session.saving;
  };

  return {
    run: async (running: RunningRequest): Promise<void> => {
      const { session, message, outlet } = running;
      const controller = new AbortController();
      const key = requestKey(message.id);
      all.add(controller);
      session?.running.set(key, controller);
      let over: AbortController | undefined;
      const overSignal = (): AbortSignal => {
        over ??= new AbortController();
        return over.signal;
      };
      let reply: Reply;
      try {
        reply = await surface.handle(requestOf(running, controller.signal, overSignal));
        if (session?.saving || (session && changesSubscription(message.method))) await settle(running, session, reply);
      } catch (error) {
        reply = errorReply(error, logger);
      }
      over?.abort(new DOMException('The request was answered.', 'AbortError'));
      all.delete(controller);
      if (session?.running.get(key) === controller) session.running.delete(key);
      if (controller.signal.reason === takenBack)
        outlet.skip(errorText(message.id, { code: rpcCodes.cancelled, message: 'The request was taken back.' }));
      else outlet.reply(replyText(message.id, reply), reply.kind === 'error' ? running.from.challengeOf?.(reply.error) : undefined);
      if (all.size === 0) onRest?.();
    },

    /** Waits until nothing is under way; what is after `drainMs` is ended, and is not waited for when it does not heed that. */
    drain: async (drainMs: number): Promise<void> => {
      if (all.size === 0) return;
      const { promise: rest, resolve } = Promise.withResolvers<void>();
      onRest = resolve;
      const end = setTimeout(() => {
        for (const controller of all) controller.abort(new DOMException('The gateway is being stopped.', 'AbortError'));
      }, drainMs);
      const giveUp = setTimeout(resolve, drainMs + heedMs);
      await rest;
      clearTimeout(end);
      clearTimeout(giveUp);
    },
  };
};
export type RequestRunner = ReturnType<typeof createRequestRunner>;
