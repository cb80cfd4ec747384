import { isPlatformError } from '../../schema/errors.ts';
import { parseExactly } from '../../schema/exact-json.ts';
import { lostHeader } from '../../schema/host-headers.ts';
import type { JsonRpcMessage, JsonRpcNotification, JsonRpcRequest } from '../stdio/json-rpc.ts';
import { createEventStream } from './event-stream.ts';
import { lossOf, type McpExchange, platformRpcError, sendText, sessionIdOf, stampAnswer } from './mcp-exchange.ts';
import type { ReadyServer } from './server-instance.ts';

/** Tool arguments in the names that the server knows the folders by, where it knows them by others than callers. */
const translateCall = ({ process: { translation } }: ReadyServer, request: JsonRpcRequest): JsonRpcRequest => {
  if (translation === undefined || request.method !== 'tools/call') return request;
  const params = request.params as Record<string, unknown>;
  return { ...request, params: { ...params, arguments: translation.toServer(params.arguments) } };
};

/** What a server says, in the names callers use. */
export const translateBack = <Message extends JsonRpcMessage>({ process: { translation } }: ReadyServer, message: Message): Message =>
  translation === undefined ? message : (translation.fromServer(message) as Message);

/**
 * Sends a request to the process and its answer to the caller: as JSON, or as events once there is something to say before it.
 * A caller that leaves takes its request back.
 */
export const forwardRequest = async (exchange: McpExchange, server: ReadyServer, request: JsonRpcRequest): Promise<void> => {
  const { response } = exchange;
  const { translation } = server.process;
  const left = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) left.abort();
  });
  const stream = exchange.request.headers.accept?.includes('text/event-stream') ? createEventStream(response) : undefined;
  const hear = (message: JsonRpcNotification): boolean => {
    const isTaken = stream?.send(translateBack(server, message)) ?? false;
    // News that are missing are worse than none: who listens looks again when the stream has ended.
    if (!isTaken && request.method === 'subscriptions/listen') response.destroy();
    return isTaken;
  };
  let text: string;
  try {
    stampAnswer(server, exchange);
    const options = { scope: sessionIdOf(exchange.request), signal: left.signal, ...(stream && { hear }) };
    const answer = server.multiplexer.relay(translateCall(server, request), options);
    server.questions.sendWaiting();
    text = await answer;
    if (translation) text = JSON.stringify(translation.fromServer(parseExactly(text) as JsonRpcMessage));
  } catch (error) {
    if (!isPlatformError(error)) throw error;
    text = JSON.stringify(platformRpcError(request.id, error));
    if (!response.headersSent) response.setHeader(lostHeader, lossOf(error));
  }
  if (response.destroyed) return;
  if (stream && response.headersSent) stream.end(text);
  else sendText(response, 200, text);
};
