import type { IncomingHttpHeaders } from 'node:http';
import { knownVersions } from '../../schema/mcp-revisions.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { WatchStream } from '../auth/create-stream-guard.ts';
import { rpcErrorOf } from '../exchange/error-reply.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { type JsonObject, type RequestId, rpcCodes } from '../mcp/message.ts';
import type { RefusedRequest } from '../record-refused.ts';
import type { Surface } from '../surface/surface.ts';
import { acceptedAnswers } from './accepted-answers.ts';
import { answerJsonText, refuse } from './answer-json.ts';
import type { MessageCheck } from './check-message.ts';
import { checkModernNotification, checkModernRequest } from './check-modern-request.ts';
import type { EdgeRequest } from './legacy-edge.ts';
import { type AnswerTiming, ModernAnswer } from './modern-answer.ts';
import { resultText } from './result-text.ts';

const parameterPrefix = 'mcp-param-';
const noParameters: Readonly<Record<string, string>> = Object.freeze({});
/** What an endpoint can do changes with what is declared; a client that asks again after so long sees it. */
const describedMs = 60_000;

const textOf = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header.join(', ') : header);

const parameterHeadersIn = (headers: IncomingHttpHeaders): Readonly<Record<string, string>> => {
  let found: Record<string, string> | undefined;
  for (const name in headers) {
    if (!name.startsWith(parameterPrefix)) continue;
    found ??= {};
    found[name] = textOf(headers[name]) ?? '';
  }
  return found ?? noParameters;
};

/**
 * Serves clients of the revisions without sessions: each request says all of itself and is answered for itself, and ends when its
 * connection does.
 * @returns a function that answers one message; it does not throw
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
 */
export const createModernEdge = ({
  surface,
  logger,
  watchStream,
  onRefused,
  timing = {},
}: {
  surface: Surface;
  logger: Logger;
  watchStream: WatchStream;
  /** Told of each request that says of itself what cannot be. */
  onRefused: ((request: RefusedRequest) => void) | undefined;
  timing?: AnswerTiming;
}) => {
  const discover = ({ principal, endpoint, response }: EdgeRequest, id: RequestId): void => {
    const { capabilities, serverInfo, instructions } = surface.describe(principal, endpoint, 'modern');
    const result: JsonObject = { supportedVersions: knownVersions, capabilities, ttlMs: describedMs, cacheScope: 'private' };
    if (instructions !== undefined) result.instructions = instructions;
    answerJsonText(response, 200, resultText(id, result, serverInfo));
  };

  return async (from: EdgeRequest, message: Extract<MessageCheck, { kind: 'request' | 'notification' }>): Promise<void> => {
    const { principal, endpoint, request, response } = from;
    const { headers } = request;
    const { method, params } = message;
    if (message.kind === 'notification') {
      const error = checkModernNotification(method, params, headers);
      // the revision has no notification for clients to send over HTTP: it is taken, and nothing is done
      return error ? refuse(response, 400, null, error) : void response.writeHead(202).end();
    }
    const { id } = message;
    const check = checkModernRequest(method, params, headers);
    if (!check.ok) {
      onRefused?.({ principal, endpoint, method, params, ...(headers.traceparent === undefined ? {} : { traceHeaders: headers }) });
      return refuse(response, 400, id, check.error);
    }
    const accepted = acceptedAnswers(headers.accept);
    const listens = method === 'subscriptions/listen';
    if (!accepted.stream && (listens || !accepted.json)) {
      const detail = listens
        ? 'Not acceptable: the answer is a stream (text/event-stream).'
        : 'Not acceptable: answers are application/json or text/event-stream.';
      return refuse(response, 406, id, { code: rpcCodes.invalidRequest, message: detail });
    }
    const leaving = new AbortController();
    const answer = new ModernAnswer(response, id, accepted, timing, from.challengeOf);
    response.once('close', () => {
      answer.stop();
      if (!response.writableFinished) leaving.abort();
    });
    try {
      if (method === 'server/discover') {
        answer.stop();
        return discover(from, id);
      }
      if (listens) {
        answer.open();
        const refusal = watchStream(from, () => leaving.abort());
        if (refusal) return answer.reply({ kind: 'error', error: rpcErrorOf(refusal) });
      }
      const asked: ClientRequest = {
        id,
        method,
        params,
        principal,
        endpoint,
        client: check.client,
        parameterHeaders: parameterHeadersIn(headers),
        logLevel: check.logLevel,
        signal: leaving.signal,
        notify: (notification) => answer.notify(notification),
      };
      const idempotencyKey = textOf(headers['idempotency-key']);
      if (idempotencyKey !== undefined) asked.idempotencyKey = idempotencyKey;
      if (headers.traceparent !== undefined) asked.traceHeaders = headers;
      answer.reply(await surface.handle(asked));
    } catch (error) {
      logger.error({ err: error, method }, 'a request failed inside');
      answer.reply({
        kind: 'error',
        error: { code: rpcCodes.internal, message: 'The request failed inside Quarterdeck; the log has the cause.' },
      });
    }
  };
};
