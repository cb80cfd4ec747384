import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent } from 'undici';
import { PlatformError, toPlatformError } from '../../schema/errors.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { readTrace } from '../mcp/trace-context.ts';
import { callModel } from './call-model.ts';
import { listModels } from './list-models.ts';
import { type Answer, CallerLeft, type ModelCall, newModelCall } from './model-call.ts';
import { answerError } from './render-error.ts';

const connectTimeoutMs = 10_000;
/** A refused body up to this size is read and thrown away, so that the caller sees the answer; for a larger one the connection closes. */
const mostIgnoredBytes = 16 * 1024 * 1024;

type Route = { action: ModelCall['action']; name?: string; run: (call: ModelCall) => Promise<Answer> };

const routeOf = (method: string | undefined, path: string): Route | undefined => {
  if (method === 'POST' && path === '/v1/chat/completions') return { action: 'invokeModel', run: callModel };
  if (method === 'GET' && path === '/v1/models') return { action: 'listModels', run: listModels };
  if (method !== 'GET' || !path.startsWith('/v1/models/')) return undefined;
  try {
    return { action: 'listModels', name: decodeURIComponent(path.slice('/v1/models/'.length)), run: listModels };
  } catch {
    return undefined;
  }
};

const deliver = ({ response, decisionId }: ModelCall, answer: Answer): void => {
  if (answer.kind === 'streamed') {
    response.end(answer.tail);
    return;
  }
  response
    .writeHead(200, {
      'content-type': 'application/json',
      'content-length': answer.body.length,
      'cache-control': 'no-store',
      'x-quarterdeck-decision': decisionId,
    })
    .end(answer.body);
};

/** Whether more of a refused body is still to come than is worth waiting for. */
const leavesTooMuch = ({ complete, headers }: IncomingMessage): boolean => {
  if (complete) return false;
  const announced = headers['content-length'];
  return announced === undefined ? headers['transfer-encoding'] !== undefined : Number(announced) > mostIgnoredBytes;
};

/**
 * Makes the handler of `/v1/*`: `POST /v1/chat/completions`, `GET /v1/models` and `GET /v1/models/{alias}`, in OpenAI's dialect.
 * @param options.stallMs - how long a caller may take to read what waits for it, before its call is given up
 * @returns a function that answers and says true when the path is under `/v1`; it never throws
 * @see https://platform.openai.com/docs/api-reference/chat
 */
export const createModelHandler = (
  gateway: GatewayContext,
  { stallMs = 30_000 }: { stallMs?: number } = {},
): ((request: IncomingMessage, response: ServerResponse) => Promise<boolean>) => {
  const dispatcher = new Agent({ connect: { timeout: connectTimeoutMs }, allowH2: false });
  const { publicUrl } = gateway.config;

  return async (request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (path !== '/v1' && !path.startsWith('/v1/')) return false;
    const requestId = `req_${randomBytes(9).toString('base64url')}`;
    response.setHeader('x-request-id', requestId);
    const route = routeOf(request.method, path);
    if (!route) {
      const detail = 'There is no such address; there are POST /v1/chat/completions, GET /v1/models and GET /v1/models/{alias}.';
      answerError(response, new PlatformError('not_found', detail), { decisionId: undefined, publicUrl, closes: leavesTooMuch(request) });
      return true;
    }
    const caller = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) caller.abort();
    });
    const { action, name } = route;
    const call = newModelCall({
      gateway,
      action,
      name,
      request,
      response,
      requestId,
      trace: readTrace(request.headers),
      startedAt: gateway.now(),
      caller,
      dispatcher,
      stallMs,
    });
    try {
      deliver(call, await route.run(call));
    } catch (thrown) {
      if (thrown instanceof CallerLeft) response.destroy();
      else {
        const decisionId = call.principal && call.decisionId;
        answerError(response, toPlatformError(thrown), { decisionId, publicUrl, closes: leavesTooMuch(request) });
      }
    }
    return true;
  };
};
