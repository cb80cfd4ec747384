import { type LogLevel, logLevels } from '../../schema/mcp-revisions.ts';
import { type JsonRpcMessage, type JsonRpcRequest, objectAt, rpcError, rpcErrorCodes } from '../stdio/json-rpc.ts';
import type { ClientSession } from './client-sessions.ts';
import type { ReadyServer, ServerInstance } from './server-instance.ts';

/** Requests that change what a process holds for a client; it knows one client, so the host keeps them apart by session. */
const methods = ['resources/subscribe', 'resources/unsubscribe', 'logging/setLevel'] as const;
type SessionRequest = JsonRpcRequest & { method: (typeof methods)[number] };

export const isSessionRequest = (request: JsonRpcRequest): request is SessionRequest =>
  (methods as readonly string[]).includes(request.method);

/** @returns the answer, under the request's id @throws {PlatformError} `server_unavailable` */
export const answerSessionRequest = async (
  { clients: { subscriptions, logLevel } }: ServerInstance,
  { multiplexer }: ReadyServer,
  session: ClientSession,
  request: SessionRequest,
): Promise<JsonRpcMessage> => {
  const { id, method } = request;
  const { uri, level } = objectAt(request, 'params');
  if (method !== 'logging/setLevel') {
    if (typeof uri !== 'string') return rpcError(id, rpcErrorCodes.invalidParams, '`uri` has to be a text.');
    return subscriptions.change(multiplexer, session, { id, method, uri });
  }
  if (!logLevels.includes(level as LogLevel))
    return rpcError(id, rpcErrorCodes.invalidParams, `\`level\` has to be one of ${logLevels.join(', ')}.`);
  session.logLevel = level as LogLevel;
  return { ...(await logLevel.apply(multiplexer)), id };
};
