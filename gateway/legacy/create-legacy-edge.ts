import { createMcpAnswerStore } from '../../store/mcp-answers.ts';
import { createMcpBus, type McpBus } from '../../store/mcp-bus.ts';
import { createMcpSessionStore } from '../../store/mcp-sessions.ts';
import { createStandingStreamStore } from '../../store/mcp-standing-streams.ts';
import { createMcpStreamStore } from '../../store/mcp-streams.ts';
import { createMcpSubscriptionStore } from '../../store/mcp-subscriptions.ts';
import { createMcpSweepStore } from '../../store/mcp-sweep.ts';
import type { WatchStream } from '../auth/create-stream-guard.ts';
import { refuse } from '../edge/answer-json.ts';
import { isRequestId } from '../edge/check-message.ts';
import type { EdgeRequest, LegacyEdge } from '../edge/legacy-edge.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientSession } from '../mcp/client-request.ts';
import { isObject, objectAt, type RequestId, rpcCodes } from '../mcp/message.ts';
import type { Surface } from '../surface/surface.ts';
import { answerError, sessionUnknown } from './answer-error.ts';
import { createInitializer } from './answer-initialize.ts';
import { createListWatch, listChangedText, listKinds } from './create-list-watch.ts';
import { createQuestions } from './create-questions.ts';
import { createRequestStreams } from './create-request-streams.ts';
import { createSessions } from './create-sessions.ts';
import { createStandingStreams } from './create-standing-streams.ts';
import { createSubscriptions } from './create-subscriptions.ts';
import { createSweeper } from './create-sweeper.ts';
import { hearReplicas } from './hear-replicas.ts';
import { type LegacyLimits, legacyLimits } from './legacy-limits.ts';
import { createRequestRunner } from './run-request.ts';
import { createGetServer } from './serve-get.ts';
import { createMessageTaker } from './serve-messages.ts';
import { createPostServer } from './serve-post.ts';
import type { Session } from './session.ts';
import { createSessionTexts } from './session-text.ts';

/**
 * Makes what serves clients of the revisions that begin with `initialize`: sessions that any replica can go on with, streams that can be
 * taken up again at any of them, batches, and HTTP+SSE for the oldest.
 * @param options.limits - for tests: other times and sizes than the usual ones
 */
export const createLegacyEdge = ({
  context,
  surface,
  watchStream,
  limits: changed = {},
}: {
  context: Pick<GatewayContext, 'config' | 'database' | 'instance' | 'keysFor' | 'logger' | 'now'>;
  surface: Surface;
  /** For streams that clients open with GET. */
  watchStream: WatchStream;
  limits?: Partial<LegacyLimits>;
}): LegacyEdge => {
  const { database, instance, logger, now } = context;
  // requests are ended a little before their connections are cut, so that their clients still hear of it
  const drainMs = 0.9 * (context.config.drain?.longestMs ?? legacyLimits.drainMs);
  const limits = { ...legacyLimits, drainMs, ...changed };
  const texts = createSessionTexts(context.keysFor('mcp-session'));
  const { keys } = texts;
  const stores = {
    sessions: createMcpSessionStore(database),
    streams: createMcpStreamStore({ database, keys, instance }),
    sweep: createMcpSweepStore(database),
    answers: createMcpAnswerStore(database, keys),
  };
  let opened: McpBus | undefined;
  const bus = (): Pick<McpBus, 'tell'> => opened ?? { tell: () => undefined };

  const requestStreams = createRequestStreams({ context, store: stores.streams, bus, limits });
  const standing = createStandingStreams({
    store: createStandingStreamStore({ database, keys, instance, now, keepEvents: limits.keepEvents, keepMs: limits.keepEndedMs }),
    events: stores.streams,
    instance,
    bus,
    logger,
    limits,
    onRead: (from, session, isLost) => onRead(from, session, isLost),
    watchStream,
  });
  const tell = (session: string, message: string, options?: { onlyOurs: boolean }): void => {
    standing
      .say(session, message, options)
      .catch((error) => logger.error({ err: error }, 'a message could not be put into the stream of its session'));
  };
  const lists = createListWatch({
    surface,
    say: (session, message) => tell(session, message, { onlyOurs: true }),
    lingerMs: limits.keepEndedMs,
  });
  const questions = createQuestions({ keys, answers: stores.answers, bus, logger });
  const subscriptions = createSubscriptions({ store: createMcpSubscriptionStore({ database, instance }), surface, bus, logger });

  const reach = (session: string): Pick<ClientSession, 'notify' | 'ask'> => ({
    notify: (notification) => tell(session, JSON.stringify({ jsonrpc: '2.0', ...notification })),
    ask: (question, signal) => questions.ask({ session, question, signal, send: (text) => standing.sayToReader(session, text) }),
  });
  const onEnded = (id: string, session: Session | undefined): void => {
    questions.sessionEnded(id);
    subscriptions.sessionEnded(id);
    lists.sessionEnded(id);
    for (const running of session?.running.values() ?? []) running.abort(new DOMException('The session has ended.', 'AbortError'));
    for (const reader of session?.readers ?? []) reader.end();
    surface.sessionEnded(id).catch((error) => logger.error({ err: error }, 'what servers hold for a session could not be freed'));
  };
  const sessions = createSessions({ context, store: stores.sessions, texts, bus, limits, reach, onEnded });

  const onRead = (from: EdgeRequest, session: Session, isLost: boolean): (() => void) => {
    void subscriptions.takeOver({ ...from, session });
    if (isLost) {
      // nobody watched for this session in between
      const { capabilities } = surface.describe(from.principal, from.endpoint, 'legacy');
      for (const kind of listKinds) if (objectAt(capabilities, kind).listChanged === true) tell(session.id, listChangedText(kind));
    }
    return lists.open(from, session);
  };

  const lookAfterAll = (): void => {
    standing.lookAfterAll().catch((error) => logger.warn({ err: error }, 'streams could not be looked after; trying again'));
  };
  opened = createMcpBus({
    database,
    instance,
    logger,
    onMessage: hearReplicas({ sessions, requestStreams, standing, questions, subscriptions }),
    onListening: () => {
      sessions.distrust();
      void subscriptions.lookAfterAll();
      lookAfterAll();
    },
  });
  const looking = setInterval(lookAfterAll, limits.lookAfterAllMs).unref();
  const sweeper = createSweeper({ context, stores, sessions, bus, limits });

  const runner = createRequestRunner({ surface, questions, subscriptions, logger });
  const servePost = createPostServer({
    initializer: createInitializer({ surface, sessions, logger, limits }),
    sessions,
    requestStreams,
    standing,
    runner,
    take: createMessageTaker({ surface, questions, bus, logger }),
    logger,
    limits,
  });
  const serveGet = createGetServer({
    watchStream,
    sessions,
    requestStreams,
    standing,
    ownerOf: async (stream) => (await stores.streams.find(stream))?.owner,
  });
  const serveDelete = async ({ principal, endpoint, request, response }: EdgeRequest): Promise<void> => {
    const text = request.headers['mcp-session-id'];
    if (text === undefined) return refuse(response, 400, null, { code: rpcCodes.invalidRequest, message: 'Mcp-Session-Id is missing.' });
    const session = await sessions.find(String(text), principal, endpoint);
    if (!session) throw sessionUnknown();
    await sessions.remove(session);
    await stores.sweep.removeStreamsOf(session.id);
    response.writeHead(204).end();
  };

  const answering = async ({ response }: EdgeRequest, id: RequestId | null, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      answerError(response, error, { id, logger, retryAfterSeconds: limits.retryAfterSeconds });
    }
  };
  const idOf = (message: unknown): RequestId | null =>
    isObject(message) && message.method !== undefined && isRequestId(message.id) ? message.id : null;

  return {
    post: ({ message, ...from }) => answering(from, idOf(message), () => servePost(from, message)),
    get: (from) => answering(from, null, () => serveGet(from)),
    delete: (from) => answering(from, null, () => serveDelete(from)),
    close: async () => {
      clearInterval(looking);
      const standingEnded = standing.close();
      await runner.drain(limits.drainMs);
      await standingEnded;
      lists.close();
      await requestStreams.close();
      await sweeper.close();
      await sessions.drained();
      questions.close();
      opened?.close();
    },
  };
};
