import { isPlatformError } from '../../schema/errors.ts';
import { parseExactly } from '../../schema/exact-json.ts';
import { lostHeader } from '../../schema/host-headers.ts';
import { metaKeys, modernVersions } from '../../schema/mcp-revisions.ts';
import { readHandshake } from '../stdio/initialize-server.ts';
import {
  isMessage,
  isRequestId,
  type JsonRpcMessage,
  type JsonRpcNotification,
  type JsonRpcRequest,
  objectAt,
  rpcError,
  rpcErrorCodes,
} from '../stdio/json-rpc.ts';
import { answerSessionRequest, isSessionRequest } from './answer-session-request.ts';
import { forwardRequest } from './forward-request.ts';
import { readBody, sendEmpty } from './http-messages.ts';
import {
  lossOf,
  type McpExchange,
  platformRpcError,
  sendMessage,
  sendSessionMissing,
  sessionIdOf,
  sessionOf,
  stampAnswer,
} from './mcp-exchange.ts';

const parse = (body: string): unknown => {
  try {
    return parseExactly(body);
  } catch {
    return undefined;
  }
};

const isWellFormed = (message: unknown): message is JsonRpcMessage =>
  isMessage(message) &&
  (message.id === undefined || isRequestId(message.id)) &&
  (message.method === undefined || typeof message.method === 'string');

/** What a client says without wanting an answer. A shared process is told of none but a request taken back: it does not know this client. */
const takeNotification = ({ instance, request }: McpExchange, { method, params }: JsonRpcNotification): void => {
  const multiplexer = instance.current()?.multiplexer;
  if (method === 'notifications/cancelled') {
    const { requestId, reason } = objectAt({ params }, 'params');
    if (isRequestId(requestId)) multiplexer?.cancel(sessionIdOf(request), requestId, typeof reason === 'string' ? reason : undefined);
    // The host itself says `initialized`.
  } else if (instance.launch.instance === 'session' && method !== 'notifications/initialized')
    multiplexer?.notify(method, params as Record<string, unknown> | undefined);
};

/** An answer to what the process asked. */
const takeAnswer = ({ instance }: McpExchange, message: JsonRpcMessage): void => {
  const server = instance.current();
  const { translation } = server?.process ?? {};
  server?.questions.settle(translation ? { ...message, result: translation.toServer(message.result) } : message);
};

const answerInitialize = async (exchange: McpExchange, { id, params }: JsonRpcRequest): Promise<void> => {
  const { instance, response } = exchange;
  const server = await instance.ready();
  stampAnswer(server, exchange);
  if (server.greeting.era === 'modern') {
    const { protocolVersion: requested } = objectAt({ params }, 'params');
    const text = `This server speaks MCP ${server.greeting.discovered.protocolVersion}, which has no initialize.`;
    return sendMessage(response, 400, rpcError(id, rpcErrorCodes.unsupportedVersion, text, { supported: modernVersions, requested }));
  }
  const result = await instance.initialize(readHandshake(params));
  response.setHeader('mcp-session-id', instance.clients.sessions.begin().id);
  sendMessage(response, 200, { jsonrpc: '2.0', id, result });
};

const answerRequest = async (exchange: McpExchange, request: JsonRpcRequest): Promise<void> => {
  const { instance, response } = exchange;
  if (request.method === 'initialize') return answerInitialize(exchange, request);
  const server = await instance.ready();
  if (response.destroyed) return;
  if (server.greeting.era === 'modern') return forwardRequest(exchange, server, request);

  if (request.method === 'server/discover' || metaKeys.protocolVersion in objectAt(request.params, '_meta')) {
    const text = 'This server speaks MCP of an older revision; begin with initialize.';
    return sendMessage(response, 400, rpcError(request.id, rpcErrorCodes.invalidRequest, text));
  }
  const session = sessionOf(exchange);
  if (typeof session === 'string') {
    const isNeeded = instance.launch.instance === 'session' || isSessionRequest(request);
    return isNeeded ? sendSessionMissing(exchange, session, request.id) : forwardRequest(exchange, server, request);
  }
  if (!isSessionRequest(request)) return forwardRequest(exchange, server, request);
  stampAnswer(server, exchange);
  sendMessage(response, 200, await answerSessionRequest(instance, server, session, request));
};

/** Answers one POST to an instance's MCP endpoint: a request with its answer, all else with 202. */
export const answerPost = async (exchange: McpExchange): Promise<void> => {
  const { response } = exchange;
  const message = parse(await readBody(exchange.request));
  if (message === undefined) return sendMessage(response, 400, rpcError(null, rpcErrorCodes.parse, 'The body is not JSON.'));
  if (!isWellFormed(message))
    return sendMessage(response, 400, rpcError(null, rpcErrorCodes.invalidRequest, 'The body is not one JSON-RPC 2.0 message.'));
  if (message.method === undefined || message.id === undefined) {
    if (message.method === undefined) takeAnswer(exchange, message);
    else takeNotification(exchange, message as JsonRpcNotification);
    return sendEmpty(response, 202);
  }
  const request = message as JsonRpcRequest;
  try {
    await answerRequest(exchange, request);
  } catch (error) {
    if (!isPlatformError(error)) throw error;
    response.setHeader(lostHeader, lossOf(error));
    sendMessage(response, 200, platformRpcError(request.id, error));
  }
};
