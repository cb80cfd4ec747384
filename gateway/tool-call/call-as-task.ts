import { afterSending } from '../exchange/again-if-unsent.ts';
import { exchangeWithServer, type ServerExchange } from '../exchange/exchange-with-server.ts';
import { isObject, type JsonObject, objectAt, type Reply } from '../mcp/message.ts';
import type { Connection } from '../upstream/upstream.ts';
import { callTimeouts } from './call-timeouts.ts';
import { required, type ToolCall } from './tool-call.ts';

/**
 * Some tools of legacy servers can only be called as tasks of the server (2025-11-25). The gateway does so on behalf of every client
 * and waits for the end; a client that knows tasks gets one of the gateway's meanwhile, as for any other call.
 * @returns what `tools/call` has to say for that
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 */
export const asServerTask = (call: ToolCall, { era, capabilities }: Connection): { task?: { ttl: number } } => {
  const { server, pinned } = required(call.tool, 'the tool');
  const isTask = era === 'legacy' && objectAt(pinned.definition as JsonObject, 'execution').taskSupport === 'required';
  if (!isTask || !isObject(objectAt(objectAt(capabilities, 'tasks'), 'requests').tools)) return {};
  return { task: { ttl: callTimeouts(server).totalTimeoutMs } };
};

/** The end of what a server answered with a task of its own: what it asks meanwhile comes with the request for its result. */
export const endOfServerTask = (exchange: Omit<ServerExchange, 'method' | 'params'>, reply: Reply): Reply | Promise<Reply> => {
  if (exchange.connection.era !== 'legacy' || reply.kind === 'error') return reply;
  const { taskId } = objectAt(reply.result, 'task');
  if (typeof taskId !== 'string') return reply;
  return afterSending(() => exchangeWithServer({ ...exchange, method: 'tasks/result', params: { taskId } }));
};
