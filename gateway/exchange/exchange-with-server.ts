import { randomUUID } from 'node:crypto';
import type { Haltable } from '../../policy/halt-index.ts';
import { PlatformError, toPlatformError } from '../../schema/errors.ts';
import { qualifiedName } from '../../schema/ids.ts';
import { credentialErrorIn } from '../credentials/credential-error.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { haltableOf } from '../limits/follow-halts.ts';
import type { Masker } from '../mask/create-masker.ts';
import type { ClientRequest, Round } from '../mcp/client-request.ts';
import { isObject, type JsonObject, type Reply } from '../mcp/message.ts';
import { traceMeta, traceOf } from '../mcp/trace-context.ts';
import { callerOf } from '../surface/caller-of.ts';
import { RefusedByStatus, refusalIn } from '../upstream/refusal.ts';
import { ResultTooLarge } from '../upstream/result-too-large.ts';
import type { Connection } from '../upstream/upstream.ts';
import { UpstreamLost } from '../upstream/upstream-lost.ts';
import type { McpServer, UpstreamPool } from '../upstream/upstream-pool.ts';
import { answerServer } from './ask-client.ts';
import { cleanReply } from './clean-result.ts';
import { inputRequired, urlsRequired } from './input-required.ts';
import { passNotifications, progressTokenOf } from './pass-notifications.ts';
import { stateLifetimeMs } from './request-state.ts';
import { passedMeta, withoutHopMeta } from './translate-question.ts';
import { withoutGrantAnswer } from './visit-for-grant.ts';

export type ServerExchange = {
  gateway: GatewayContext;
  pool: UpstreamPool;
  /** The client's request, or the one that `exchange.serve` handed on. */
  request: ClientRequest;
  server: McpServer;
  connection: Connection;
  method: string;
  /** As the server is to have them, without `_meta`. */
  params: JsonObject;
  /** The tool's or prompt's own name at the server, or the URI there. */
  name?: string;
  /** Names of ours for `_meta`, such as the operation id. */
  meta?: JsonObject;
  operationId?: string;
  parameterHeaders?: Readonly<Record<string, string>>;
  timeouts: { idleTimeoutMs: number; totalTimeoutMs: number };
  /** For what the server says and asks meanwhile; its answer is masked by whoever presents it. */
  mask?: Masker | undefined;
  /** In place of the request's own signal. */
  signal?: AbortSignal;
};

/** Where a server that is asked too often does not say when to come again, and what is believed of one that does. */
const usualThrottleSeconds = 2;
const longestThrottleSeconds = 60;

export const serverKeyOf = ({ metadata }: McpServer): string => qualifiedName(metadata, metadata.name);

/** What an earlier round left for this one, for the server that it was with. */
const roundParams = ({ request, server, connection }: ServerExchange): JsonObject => {
  const { params, round } = request;
  // a state that nobody has opened is the client's own invention
  if (round ? round.server !== serverKeyOf(server) : params.requestState !== undefined)
    throw new PlatformError('request_invalid', 'Invalid params: `requestState` is not one of this request; make the request anew.', {
      facts: { wasSent: false },
    });
  if (connection.era === 'legacy') return {};
  return {
    ...(isObject(params.inputResponses) ? { inputResponses: withoutGrantAnswer(params.inputResponses) } : {}),
    ...(round?.state === undefined ? {} : { requestState: round.state }),
  };
};

const nextRound = ({ gateway, request: { round }, server, operationId }: ServerExchange, state: unknown): Round => ({
  id: randomUUID(),
  expiresAt: gateway.now() + stateLifetimeMs,
  number: (round?.number ?? 0) + 1,
  server: serverKeyOf(server),
  ...(typeof state === 'string' ? { state } : {}),
  ...(operationId === undefined ? {} : { operationId: round?.operationId ?? operationId }),
});

const failureOf = ({ server, name }: ServerExchange, error: unknown): unknown => {
  const what = `The MCP server ${server.metadata.name}`;
  if (error instanceof ResultTooLarge)
    return new PlatformError('result_too_large', `${what} answered ${name ?? ''} with more than is read of an answer; ask for less.`, {
      cause: error,
    });
  if (!(error instanceof UpstreamLost)) return error;
  const refused = credentialErrorIn(error);
  if (refused) return refused;
  const { reason, wasSent } = error;
  if (error.cause instanceof RefusedByStatus && error.cause.isThrottled) {
    const retryAfterSeconds = Math.min(Math.max(error.cause.retryAfterSeconds ?? usualThrottleSeconds, 1), longestThrottleSeconds);
    return new PlatformError('server_unavailable', `${what} is asked too often (HTTP 429); try again in ${retryAfterSeconds} s.`, {
      cause: error,
      facts: { wasSent, reason, isSentBack: true, isThrottled: true, retryAfterSeconds },
    });
  }
  const how = reason === 'deadline' ? 'gave no answer in time' : 'gave no answer';
  return new PlatformError('server_unavailable', `${what} ${how}${name === undefined ? '' : ` to ${name}`}; try again in a few seconds.`, {
    cause: error,
    facts: { wasSent, reason, ...(error.cause instanceof RefusedByStatus && error.cause.isSentBack ? { isSentBack: true } : {}) },
  });
};

const unsent = (thrown: unknown): PlatformError => {
  const { code, detail, facts, cause } = toPlatformError(thrown);
  return new PlatformError(code, detail, { cause, facts: { ...facts, wasSent: false } });
};

/** Refuses what is halted, which was certainly not sent; nearly always at once. */
const notHalted = ({ halts }: GatewayContext, what: Haltable): void | Promise<void> => {
  try {
    const look = halts.check(what);
    return look?.catch((thrown: unknown) => {
      throw unsent(thrown);
    });
  } catch (thrown) {
    throw unsent(thrown);
  }
};

const haltedUnderWay = ({ code, detail, facts }: PlatformError, { wasSent }: UpstreamLost): PlatformError =>
  new PlatformError(code, detail, { facts: { ...facts, wasSent } });

/**
 * One request of a client at one server, whatever their eras: what the server says meanwhile goes to the client, what a legacy server
 * asks is put to the client, and what belongs to one hop stays on it. A server that needs input first is answered by the next round:
 * its result has `round` in place of `requestState`, which `exchange.serve` seals for the client or uses itself; a task of the server's
 * own says `ofServer`.
 * What is halted does not begin here, and what was begun is cut.
 * @throws {PlatformError} `server_unavailable` and `halted` with `wasSent`, `result_too_large`, `request_invalid`
 */
export const exchangeWithServer = async (exchange: ServerExchange): Promise<Reply> => {
  const { gateway, pool, request, server, connection, method, params, name, meta, parameterHeaders, timeouts, mask } = exchange;
  const what = haltableOf(request.principal, server.metadata, { server: server.metadata.name });
  const look = notHalted(gateway, what);
  if (look) await look;
  const passed = passedMeta(request.params._meta);
  const underWay = gateway.halts.begin(what);
  let reply: Reply;
  try {
    reply = await connection.request({
      method,
      params: { ...params, ...roundParams(exchange) },
      meta: { ...passed, ...meta, ...traceMeta(traceOf(request)) },
      wantsProgress: progressTokenOf(request.params) !== undefined,
      ...(parameterHeaders ? { parameterHeaders } : {}),
      ...(name === undefined ? {} : { name }),
      ...timeouts,
      signal: exchange.signal ?? request.signal,
      underWay,
      onNotification: passNotifications(request, mask),
      onAsk: (question, signal) => answerServer(request, mask ? mask.json(question, {}) : question, signal),
    });
  } catch (error) {
    if (underWay.halted && error instanceof UpstreamLost) throw haltedUnderWay(underWay.halted, error);
    const isThrottled = refusalIn(error)?.isThrottled === true;
    if (isThrottled) gateway.storms.refused(server, request.principal);
    // nothing is wrong with the connection to a server that is asked too often: to open it anew would be one more request
    else if (error instanceof UpstreamLost && error.reason !== 'caller' && error.reason !== 'deadline')
      pool.forget(server, callerOf(request), connection);
    throw failureOf(exchange, error);
  } finally {
    gateway.halts.end(underWay);
  }
  if (reply.kind === 'result' && reply.result.resultType === 'input_required')
    return inputRequired(request, reply.result, nextRound(exchange, reply.result.requestState));
  const urls = urlsRequired(request, reply);
  if (urls) return inputRequired(request, { inputRequests: urls }, nextRound(exchange, undefined));
  if (reply.kind === 'result' && connection.era === 'modern' && reply.result.resultType === 'task')
    return { kind: 'result', result: { ...withoutHopMeta(reply.result), ofServer: serverKeyOf(server) } };
  return cleanReply(reply, request.client.era);
};
