import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import { instanceHeader, type Loss, lostHeader } from '../../schema/host-headers.ts';
import {
  isMessage,
  type JsonRpcMessage,
  type JsonRpcRequest,
  objectAt,
  type RequestId,
  RequestIdSchema,
  rpcErrorCodes,
} from '../stdio/json-rpc.ts';
import { readBody, sendEmpty, sendJson } from './http-messages.ts';
import type { ReadyServer, ServerInstance } from './server-instance.ts';

/** A caller that reads its progress events this slowly misses some. */
const maximumUnreadEventBytes = 1024 * 1024;

const rpcError = (id: RequestId | null, code: number, message: string, data?: unknown): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id,
  error: { code, message, ...(data === undefined ? {} : { data }) },
});

const platformRpcError = (id: RequestId, error: PlatformError): JsonRpcMessage =>
  rpcError(id, rpcErrorCodes.platform, error.detail, { code: error.code, retryable: error.isRetryable });

/** Whether an effect is possible; said in a header, because a server can write every word of the body itself. */
const lossOf = ({ code, facts }: PlatformError): Loss =>
  code === 'result_too_large'
    ? 'result-too-large'
    : facts.isOtherInstance === true
      ? 'other-instance'
      : facts.sent === true
        ? 'sent'
        : 'not-sent';

/**
 * Says which process answers, before it is asked: what it answers belongs to that moment.
 * @throws {PlatformError} `server_unavailable` when the caller means another one, so what it knows of the tools may not hold any more
 */
const stampAnswer = (server: ReadyServer, { request, response }: { request: IncomingMessage; response: ServerResponse }): void => {
  const stamp = server.stamp();
  response.setHeader(instanceHeader, stamp);
  const wanted = request.headers[instanceHeader];
  if (wanted !== undefined && wanted !== stamp)
    throw new PlatformError('server_unavailable', 'The server was started again, or its tools changed; look at them again.', {
      facts: { sent: false, isOtherInstance: true },
    });
};

/** Tool arguments and results in the names callers use, where the server knows the folders by others. */
const translateCall = ({ process: { translation } }: ReadyServer, request: JsonRpcRequest): JsonRpcRequest => {
  if (translation === undefined || request.method !== 'tools/call') return request;
  const params = request.params as Record<string, unknown>;
  return { ...request, params: { ...params, arguments: translation.toServer(params.arguments) } };
};
const translateAnswer = ({ process: { translation } }: ReadyServer, answer: JsonRpcMessage): JsonRpcMessage =>
  translation === undefined ? answer : (translation.fromServer(answer) as JsonRpcMessage);

const asEvent = (message: JsonRpcMessage): string => `event: message\ndata: ${JSON.stringify(message)}\n\n`;

const forward = async (
  instance: ServerInstance,
  request: JsonRpcRequest,
  scope: string,
  http: { request: IncomingMessage; response: ServerResponse },
) => {
  const { response } = http;
  const left = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) left.abort();
  });
  const wantsEvents =
    http.request.headers.accept?.includes('text/event-stream') === true && objectAt(request.params, '_meta').progressToken !== undefined;
  const report = (server: ReadyServer) => (params: Record<string, unknown>) => {
    if (response.destroyed || response.writableLength > maximumUnreadEventBytes) return;
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(asEvent(translateAnswer(server, { jsonrpc: '2.0', method: 'notifications/progress', params })));
  };
  let answer: JsonRpcMessage;
  try {
    const server = await instance.ready();
    if (response.destroyed) return;
    stampAnswer(server, http);
    const options = { scope, signal: left.signal, ...(wantsEvents && { onProgress: report(server) }) };
    answer = translateAnswer(server, await server.multiplexer.call(translateCall(server, request), options));
  } catch (error) {
    if (!isPlatformError(error)) throw error;
    answer = platformRpcError(request.id, error);
    if (!response.headersSent) response.setHeader(lostHeader, lossOf(error));
  }
  if (response.destroyed) return;
  if (response.headersSent) response.end(asEvent(answer));
  else sendJson(response, 200, answer);
};

const parse = (body: string): unknown => {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
};

/**
 * Answers one POST to an instance's MCP endpoint: a request gets its answer as JSON (as events when progress was asked for), a notification 202.
 * Nothing is remembered between requests; the session id given on `initialize` only keeps one caller's cancellations from hitting another's equal ids,
 * so a caller may also choose its own or have ids that nobody else uses.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
export const answerMcp = async (instance: ServerInstance, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const message = parse(await readBody(request));
  if (message === undefined) return sendJson(response, 400, rpcError(null, rpcErrorCodes.parse, 'The body is not JSON.'));
  const scope = String(request.headers['mcp-session-id'] ?? '');
  const id = isMessage(message) ? RequestIdSchema.safeParse(message.id) : undefined;
  if (
    !isMessage(message) ||
    (message.id !== undefined && id?.success !== true) ||
    (message.method !== undefined && typeof message.method !== 'string')
  )
    return sendJson(response, 400, rpcError(null, rpcErrorCodes.invalidRequest, 'The body is not one JSON-RPC 2.0 message.'));

  // Answers need no answer: the host never asks callers anything.
  if (message.method === undefined) return sendEmpty(response, 202);
  if (id?.success !== true) {
    const params = objectAt(message, 'params');
    const target = RequestIdSchema.safeParse(params.requestId);
    if (message.method === 'notifications/cancelled' && target.success)
      instance.current()?.multiplexer.cancel(scope, target.data, typeof params.reason === 'string' ? params.reason : undefined);
    return sendEmpty(response, 202);
  }
  if (message.method === 'initialize') {
    const { initialized } = await instance.ready();
    response.setHeader('mcp-session-id', randomUUID());
    return sendJson(response, 200, { jsonrpc: '2.0', id: id.data, result: initialized });
  }
  await forward(instance, { ...message, id: id.data, method: message.method }, scope, { request, response });
};
