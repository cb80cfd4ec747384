import { PlatformError } from '../../schema/errors.ts';
import { UpstreamLost } from '../mcp/upstream-exchange.ts';
import type { Connection } from '../mcp/upstreams.ts';
import { isReadOnly, required, runOf, type ToolCall, type ToolCallStep, type ToolOutcome } from './tool-call.ts';

const never = new AbortController().signal;

const noAnswer = (call: ToolCall, wasSent: boolean, cause: unknown): PlatformError => {
  const { server, tool } = required(call.tool, 'the tool');
  return new PlatformError(
    'server_unavailable',
    `The MCP server ${server.metadata.name} gave no answer to ${tool.name}; try again in a few seconds.`,
    { cause, facts: { wasSent } },
  );
};

/**
 * Another connection, after one through which nothing was sent: the process behind it may have been started again.
 * It serves this call only if all that was decided about the first holds for it too.
 */
const reconnect = async (call: ToolCall, cause: unknown): Promise<Connection> => {
  const { server, tool } = required(call.tool, 'the tool');
  const first = required(call.connection, 'the connection');
  const second = await call.upstreams.connect(server, runOf(call.principal)).catch((error: unknown) => {
    throw noAnswer(call, false, error);
  });
  if (second.offered.get(tool.name) !== tool.approvedHash || second.isolation !== first.isolation) throw noAnswer(call, false, cause);
  return second;
};

/**
 * To the server. A caller that leaves aborts the call, except one that may have an effect and has a named operation: that one
 * goes on to its end, so that the caller's retry finds the outcome. A call that certainly was not sent is tried once more.
 */
export const forward: ToolCallStep = async (call) => {
  const { server, tool } = required(call.tool, 'the tool');
  const outlivesCaller = !isReadOnly(call) && call.isNamedOperation;
  const send = async (connection: Connection): Promise<ToolOutcome> => {
    try {
      return await connection.upstream.callTool({
        name: tool.name,
        arguments: call.arguments,
        operationId: call.operationId,
        timeoutMs: server.spec.timeoutSeconds * 1000,
        signal: outlivesCaller ? never : call.signal,
      });
    } catch (error) {
      if (error instanceof UpstreamLost) call.upstreams.forget(server, runOf(call.principal), connection);
      throw error;
    }
  };
  try {
    return await send(required(call.connection, 'the connection')).catch(async (error: unknown) => {
      if (!(error instanceof UpstreamLost) || error.wasSent || call.signal.aborted) throw error;
      return send(await reconnect(call, error));
    });
  } catch (error) {
    throw error instanceof UpstreamLost ? noAnswer(call, error.wasSent, error) : error;
  }
};
