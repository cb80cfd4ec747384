import type { IncomingMessage, ServerResponse } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { type CallToolResult, createMcpHandler, type McpHttpHandler, ProtocolError, Server } from '@modelcontextprotocol/server';
import { isPlatformError, type PlatformError, toPlatformError } from '../../schema/errors.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Principal } from '../principal.ts';
import { callTool } from '../tool-call/call-tool.ts';
import type { ToolOutcome } from '../tool-call/tool-call.ts';
import type { Endpoint } from './endpoint.ts';
import { listTools } from './list-tools.ts';
import { readOperationId } from './read-operation-id.ts';
import type { Upstreams } from './upstreams.ts';

const invalidParams = -32602;
const refused = -32010;

/** A refusal or failure as JSON-RPC: the unknown tool as the specification has it, all others with a code of ours in `data`. */
const toProtocolError = (error: PlatformError): ProtocolError =>
  new ProtocolError(error.code === 'tool_unknown' || error.code === 'request_invalid' ? invalidParams : refused, error.detail, {
    code: error.code,
    retryable: error.isRetryable,
    ...error.facts,
  });

const rendered = async <T>(gateway: GatewayContext, work: () => T | Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (thrown) {
    if (ProtocolError.isInstance(thrown)) throw thrown;
    if (!isPlatformError(thrown)) gateway.logger.error({ err: thrown }, 'a request failed inside');
    throw toProtocolError(toPlatformError(thrown));
  }
};

const resultOf = (outcome: ToolOutcome): CallToolResult => {
  if (outcome.kind === 'rpc-error') throw new ProtocolError(outcome.code, outcome.message);
  return outcome.result;
};

/** Serves one request of one caller: a server of its own, as the SDK's stateless entry makes them for both eras. */
const handlerFor = (gateway: GatewayContext, upstreams: Upstreams, principal: Principal, endpoint: Endpoint): McpHttpHandler =>
  createMcpHandler(
    ({ requestInfo }) => {
      const server = new Server({ name: 'quarterdeck', version: '0.1.0' }, { capabilities: { tools: {} } });
      server.setRequestHandler('tools/list', () => rendered(gateway, () => ({ tools: listTools(gateway, principal, endpoint) })));
      server.setRequestHandler('tools/call', ({ params }, ctx) =>
        rendered(gateway, async () =>
          resultOf(
            await callTool({
              gateway,
              upstreams,
              principal,
              endpoint,
              name: params.name,
              arguments: params.arguments ?? {},
              ...readOperationId(params._meta, requestInfo?.headers.get('idempotency-key')),
              signal: ctx.mcpReq.signal,
              startedAt: gateway.now(),
            }),
          ),
        ),
      );
      return server;
    },
    { responseMode: 'auto', onerror: (error) => gateway.logger.debug({ err: error }, 'an MCP request was rejected') },
  );

/** Answers a request of an authenticated caller at one endpoint. */
export const serveMcp = async (
  gateway: GatewayContext,
  upstreams: Upstreams,
  {
    principal,
    endpoint,
    request,
    response,
  }: { principal: Principal; endpoint: Endpoint; request: IncomingMessage; response: ServerResponse },
): Promise<void> => {
  const handler = handlerFor(gateway, upstreams, principal, endpoint);
  try {
    await toNodeHandler(handler, { onerror: (error) => gateway.logger.error({ err: error }, 'an MCP request failed inside') })(
      request,
      response,
    );
  } finally {
    if (response.writableEnded) await handler.close();
    else response.once('close', () => void handler.close());
  }
};
