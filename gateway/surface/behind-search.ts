import { PlatformError } from '../../schema/errors.ts';
import { searchToolNames } from '../../schema/search-tools.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { Reply } from '../mcp/message.ts';
import { recordRefused } from '../record-refused.ts';
import { readInnerCall } from '../tool-call/inner-call.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { tableOf } from './endpoint-table.ts';
import { findTool } from './find-tool.ts';
import type { SearchTool } from './search-tools.ts';
import { type View, viewOf } from './view.ts';

type Handler = (request: ClientRequest) => Reply | Promise<Reply>;

/** Whether a name may be one of the two; nearly every call is past this at once. */
const mayBeSearchTool = (name: unknown): name is string =>
  typeof name === 'string' && (name.endsWith(searchToolNames.call) || name.endsWith(searchToolNames.find));

/** The call that a call of `call_tool` is one of. @throws {PlatformError} `request_invalid`, and leaves a row */
const innerRequest = (context: GatewayContext, request: ClientRequest, { name }: SearchTool, view: View): ClientRequest => {
  const refuse = (reason: string): never => {
    recordRefused(context, request, 'request_invalid');
    throw new PlatformError('request_invalid', `Invalid arguments for tool ${name}: ${reason}.`);
  };
  const inner = readInnerCall(request.params.arguments ?? {});
  if (!inner.ok) return refuse(inner.reason);
  if (view.searchTools().has(inner.name)) return refuse(`${inner.name} is called by itself and not by another tool`);
  return { ...request, params: { ...request.params, name: inner.name, arguments: inner.arguments }, isFound: true };
};

/**
 * Puts the two tools of toolsets that expose `search` before the calls of tools. A call of `call_tool` becomes the call of the tool that
 * it names before anything else looks at it, so that all that judges, counts, records, sends and answers calls knows of that one alone.
 * @param callTool - what serves the call of a server's tool
 */
export const behindSearch =
  ({ context, pool }: { context: GatewayContext; pool: UpstreamPool }, callTool: Handler): Handler =>
  (request) => {
    const { principal, endpoint, params } = request;
    if (!mayBeSearchTool(params.name)) return callTool(request);
    // what cannot be served is refused, and recorded, where calls are
    const table = tableOf(context.declared(), endpoint, principal);
    if (!table.ok || !table.table.search.has(params.name)) return callTool(request);
    const view = viewOf(context, principal, endpoint);
    const tool = view.searchTools().get(params.name);
    if (!tool) return callTool(request);
    return tool.kind === 'find' ? findTool({ context, pool }, request, view, tool) : callTool(innerRequest(context, request, tool, view));
  };
