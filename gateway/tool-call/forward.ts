import { PlatformError } from '../../schema/errors.ts';
import { UpstreamLost } from '../mcp/upstream.ts';
import { isReadOnly, required, runOf, type ToolCallStep } from './tool-call.ts';

const never = new AbortController().signal;

/**
 * To the server. A caller that leaves aborts the call, except one that may have an effect and has a named operation: that one
 * goes on to its end, so that the caller's retry finds the outcome.
 */
export const forward: ToolCallStep = async (call) => {
  const { server, tool } = required(call.tool, 'the tool');
  const { upstream } = required(call.connection, 'the connection');
  const outlivesCaller = !isReadOnly(call) && call.isNamedOperation;
  try {
    return await upstream.callTool({
      name: tool.name,
      arguments: call.arguments,
      operationId: call.operationId,
      timeoutMs: server.spec.timeoutSeconds * 1000,
      signal: outlivesCaller ? never : call.signal,
    });
  } catch (error) {
    if (!(error instanceof UpstreamLost)) throw error;
    call.upstreams.forget(server, runOf(call.principal));
    throw new PlatformError(
      'server_unavailable',
      `The MCP server ${server.metadata.name} gave no answer to ${tool.name}; try again in a few seconds.`,
      {
        cause: error,
        facts: { wasSent: error.wasSent },
      },
    );
  }
};
