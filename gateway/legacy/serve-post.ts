import { isLegacyVersion } from '../../schema/mcp-revisions.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { acceptedAnswers } from '../edge/accepted-answers.ts';
import { errorText, refuse } from '../edge/answer-json.ts';
import { unsupportedVersion } from '../edge/choose-era.ts';
import type { EdgeRequest } from '../edge/legacy-edge.ts';
import { rpcCodes } from '../mcp/message.ts';
import { principalName } from '../principal.ts';
import { sessionUnknown } from './answer-error.ts';
import type { Initializer } from './answer-initialize.ts';
import type { RequestStreams } from './create-request-streams.ts';
import type { Sessions } from './create-sessions.ts';
import type { StandingStreams } from './create-standing-streams.ts';
import type { LegacyLimits } from './legacy-limits.ts';
import type { Outlet } from './outlet.ts';
import { PostAnswer } from './post-answer.ts';
import { unknownClient } from './read-client.ts';
import { assumedVersion, hasBatches, takesPriming } from './revision-facts.ts';
import type { RequestRunner } from './run-request.ts';
import { checkAll, type Incoming, type MessageTaker } from './serve-messages.ts';
import type { Session } from './session.ts';
import { createSessionAnswer } from './session-answer.ts';

/** Whose messages came, and what both sides speak. */
type Place = { from: EdgeRequest; session: Session | undefined; protocolVersion: string };

/** Streams of requests without a session are the caller's own at this endpoint. */
export const ownerWithoutSession = ({ principal, endpoint }: EdgeRequest): string => `${principalName(principal)} ${endpoint.path}`;

/** Serves what legacy clients send. What it throws is for the edge to render: `session_unknown`, `sessions_exhausted`, `store_unavailable`. */
export const createPostServer = ({
  initializer,
  sessions,
  requestStreams,
  standing,
  runner,
  take,
  logger,
  limits,
}: {
  initializer: Initializer;
  sessions: Sessions;
  requestStreams: RequestStreams;
  standing: StandingStreams;
  runner: RequestRunner;
  take: MessageTaker;
  logger: Logger;
  limits: LegacyLimits;
}) => {
  const invalid = ({ response }: EdgeRequest, reason: string): void =>
    refuse(response, 400, null, { code: rpcCodes.invalidRequest, message: `Invalid request: ${reason}.` });
  const accept = ({ response }: EdgeRequest): void => void response.writeHead(202).end();

  /** What is wrong with a batch as a whole. */
  const refusalOf = ({ session, protocolVersion }: Place, incoming: readonly Incoming[]): string | undefined => {
    if (!hasBatches(protocolVersion, session?.transport ?? 'streamable')) return 'this protocol version has no batches';
    if (incoming.length > limits.messagesInBatch) return `a batch has at most ${limits.messagesInBatch} messages`;
    if (incoming.some(({ check }) => check.kind === 'request' && check.method === 'initialize')) return '`initialize` is never in a batch';
  };

  const runAll = ({ from, session, protocolVersion }: Place, incoming: readonly Incoming[], outlet: Outlet): void => {
    const client = session?.client ?? unknownClient(protocolVersion);
    for (const { check } of incoming) {
      if (check.kind === 'request') void runner.run({ from, session, client, message: check, outlet });
      if (check.kind === 'invalid')
        outlet.reply(errorText(check.id, { code: rpcCodes.invalidRequest, message: `Invalid request: ${check.reason}.` }));
    }
  };

  const postToStreamable = async (from: EdgeRequest, incoming: readonly Incoming[], isBatch: boolean): Promise<void> => {
    const { principal, endpoint, request, response } = from;
    const only = isBatch ? undefined : incoming[0]?.check;
    if (only?.kind === 'request' && only.method === 'initialize') return initializer.begin(from, only);
    const text = request.headers['mcp-session-id'];
    const session = text === undefined ? undefined : await sessions.find(String(text), principal, endpoint);
    if (text !== undefined && session?.transport !== 'streamable') throw sessionUnknown();
    const version = request.headers['mcp-protocol-version'];
    if (version !== undefined && !isLegacyVersion(version)) return refuse(response, 400, null, unsupportedVersion(String(version)));
    const place = { from, session, protocolVersion: session?.client.protocolVersion ?? String(version ?? assumedVersion) };
    const refusal = isBatch ? refusalOf(place, incoming) : undefined;
    if (refusal !== undefined) return invalid(from, refusal);
    if (!session && only?.kind === 'response') return invalid(from, 'without a session there is no question to be answered');

    const answered = incoming.filter(({ check }) => check.kind === 'request' || check.kind === 'invalid');
    const accepted = acceptedAnswers(request.headers.accept);
    if (answered.length > 0 && !accepted.json && !accepted.stream)
      return refuse(response, 406, null, { code: rpcCodes.invalidRequest, message: 'Accept application/json and text/event-stream.' });
    if (answered.length < incoming.length) await take(from, session, incoming);
    if (answered.length === 0) return accept(from);
    const answer = new PostAnswer({
      response,
      accepted,
      openStream: () => {
        const ids = answered.flatMap(({ check }) => (check.kind === 'request' ? [check.id] : []));
        return requestStreams.open(session?.id ?? ownerWithoutSession(from), ids);
      },
      messages: answered.length,
      isBatch,
      isPrimed: takesPriming(place.protocolVersion),
      quietMs: limits.quietMs,
    });
    runAll(place, answered, answer);
  };

  /** HTTP+SSE: everything is accepted here, and answered on the session's stream. */
  const postToSse = async (from: EdgeRequest, text: string, incoming: readonly Incoming[], isBatch: boolean): Promise<void> => {
    const session = await sessions.find(text, from.principal, from.endpoint);
    if (session?.transport !== 'sse') throw sessionUnknown();
    const place = { from, session, protocolVersion: session.client.protocolVersion };
    const refusal = isBatch ? refusalOf(place, incoming) : undefined;
    if (refusal !== undefined) return invalid(from, refusal);
    const outlet = createSessionAnswer(session.id, standing, logger);
    const only = isBatch ? undefined : incoming[0]?.check;
    if (only?.kind === 'request' && only.method === 'initialize') outlet.reply(await initializer.introduce(from, only, session));
    else {
      await take(from, session, incoming);
      runAll(place, incoming, outlet);
    }
    accept(from);
  };

  return async (from: EdgeRequest, message: unknown): Promise<void> => {
    const isBatch = Array.isArray(message);
    const incoming = checkAll(isBatch ? message : [message]);
    const { url = '' } = from.request;
    const query = url.indexOf('?');
    const text = query < 0 ? null : new URLSearchParams(url.slice(query)).get('session');
    return text === null ? postToStreamable(from, incoming, isBatch) : postToSse(from, text, incoming, isBatch);
  };
};
