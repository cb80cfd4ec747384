import { PlatformError } from '../../schema/errors.ts';
import { operationIdMeta } from '../../schema/workflow-contract.ts';
import { mayReadAgain, maySendAgain } from '../exchange/again-if-unsent.ts';
import { exchangeWithServer } from '../exchange/exchange-with-server.ts';
import type { Reply } from '../mcp/message.ts';
import { callerOf } from '../surface/caller-of.ts';
import type { Connection } from '../upstream/upstream.ts';
import { asServerTask, endOfServerTask } from './call-as-task.ts';
import { callTimeouts } from './call-timeouts.ts';
import { isReadOnly, required, type ToolCall, type ToolCallStep } from './tool-call.ts';
import { unknownParameterHeaders } from './unknown-parameter-headers.ts';

const never = new AbortController().signal;

/**
 * Another connection, after one through which nothing was sent: the process behind it may have been started again.
 * It serves this call only if all that was decided about the first holds for it too.
 */
const reconnect = async (call: ToolCall, cause: unknown): Promise<Connection> => {
  const { server, pinned } = required(call.tool, 'the tool');
  const first = required(call.connection, 'the connection');
  const gone = (error: unknown): PlatformError =>
    new PlatformError(
      'server_unavailable',
      `The MCP server ${server.metadata.name} gave no answer to ${pinned.name}; try again in a few seconds.`,
      {
        cause: error,
        facts: { wasSent: false },
      },
    );
  const second = await call.pool.connect(server, callerOf(call.request)).catch((error: unknown) => {
    throw gone(error);
  });
  if (second.offered.get(`tool/${pinned.name}`) !== pinned.approvedHash || second.isolation !== first.isolation) throw gone(cause);
  return second;
};

/**
 * To the server. A caller that leaves aborts the call, except one that may have an effect and has a named operation: that one
 * goes on to its end, so that the caller's retry finds the outcome. A call that certainly was not sent is tried once more; one that only
 * reads also where that is merely said.
 */
export const forward: ToolCallStep = async (call) => {
  const { server, pinned, mask } = required(call.tool, 'the tool');
  const { gateway, pool, request, operationId } = call;
  const outlivesCaller = !isReadOnly(call) && call.isNamedOperation;
  const signal = outlivesCaller ? never : request.signal;
  const mayGoAgain = isReadOnly(call) ? mayReadAgain : maySendAgain;
  const parameterHeaders = unknownParameterHeaders(call);
  const send = async (connection: Connection): Promise<Reply> => {
    const exchange = { gateway, pool, request, server, connection, operationId, signal, timeouts: callTimeouts(server), mask };
    const reply = await exchangeWithServer({
      ...exchange,
      method: 'tools/call',
      params: { name: pinned.name, arguments: call.arguments, ...asServerTask(call, connection) },
      name: pinned.name,
      meta: { [operationIdMeta]: operationId },
      ...(parameterHeaders ? { parameterHeaders } : {}),
    });
    return endOfServerTask(exchange, reply);
  };
  try {
    return await send(required(call.connection, 'the connection'));
  } catch (error) {
    if (!mayGoAgain(error) || signal.aborted) throw error;
    return send(await reconnect(call, error));
  }
};
