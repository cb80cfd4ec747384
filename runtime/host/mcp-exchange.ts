import type { IncomingMessage, ServerResponse } from 'node:http';
import { PlatformError } from '../../schema/errors.ts';
import { instanceHeader, type Loss, lostHeader } from '../../schema/host-headers.ts';
import { type JsonRpcMessage, type RequestId, rpcError, rpcErrorCodes } from '../stdio/json-rpc.ts';
import type { ClientSession } from './client-sessions.ts';
import type { ReadyServer, ServerInstance } from './server-instance.ts';

/** One HTTP request to an instance's MCP endpoint, and where its answer goes. */
export type McpExchange = { instance: ServerInstance; request: IncomingMessage; response: ServerResponse };

/** The session id that came along, or an empty text. */
export const sessionIdOf = (request: IncomingMessage): string => String(request.headers['mcp-session-id'] ?? '');

/** The session that a request needs, or a text why there is none. */
export const sessionOf = ({ instance, request }: McpExchange): ClientSession | 'none given' | 'unknown' => {
  const id = sessionIdOf(request);
  return id === '' ? 'none given' : (instance.clients.sessions.use(id) ?? 'unknown');
};

/** Answers a request that needs a session and has none: without any it is the caller's mistake, with an old one a new `initialize` is due. */
export const sendSessionMissing = ({ response }: McpExchange, why: 'none given' | 'unknown', id: RequestId | null): void => {
  const isUnknown = why === 'unknown';
  if (isUnknown) response.setHeader(lostHeader, 'not-sent' satisfies Loss);
  const text = isUnknown
    ? 'The session is not known any more; begin again with initialize.'
    : 'This needs a session; begin with initialize.';
  sendText(response, isUnknown ? 404 : 400, JSON.stringify(rpcError(id, rpcErrorCodes.invalidRequest, text)));
};

/** Sends JSON that is there as text. */
export const sendText = (response: ServerResponse, status: number, text: string): void => {
  // As text, so that head and body leave in one write.
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);
};

export const sendMessage = (response: ServerResponse, status: number, message: JsonRpcMessage): void =>
  sendText(response, status, JSON.stringify(message));

export const platformRpcError = (id: RequestId, error: PlatformError): JsonRpcMessage =>
  rpcError(id, rpcErrorCodes.platform, error.detail, { code: error.code, retryable: error.isRetryable });

/** Whether an effect is possible; said in a header, because a server can write every word of the body itself. */
export const lossOf = ({ code, facts }: PlatformError): Loss =>
  code === 'result_too_large'
    ? 'result-too-large'
    : facts.isOtherInstance === true
      ? 'other-instance'
      : facts.sent === true
        ? 'sent'
        : 'not-sent';

/**
 * Says which process answers, before it is asked: what it answers belongs to that moment.
 * @throws {PlatformError} `server_unavailable` when the caller means another one, so what it knows of the lists may not hold any more
 */
export const stampAnswer = (server: ReadyServer, { request, response }: McpExchange): void => {
  const stamp = server.stamp();
  response.setHeader(instanceHeader, stamp);
  const wanted = request.headers[instanceHeader];
  if (wanted !== undefined && wanted !== stamp)
    throw new PlatformError('server_unavailable', 'The server was started again, or what it offers changed; look at it again.', {
      facts: { sent: false, isOtherInstance: true },
    });
};
