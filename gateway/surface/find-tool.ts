import { PlatformError } from '../../schema/errors.ts';
import { inPlainNumbers } from '../../schema/exact-json.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { haltableOf } from '../limits/follow-halts.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import { faultIn } from '../tool-call/fault-in.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { foundTools } from './found-tools.ts';
import { itemForEra } from './item-for-era.ts';
import { refuseIncomplete, sourcesDown, warningsOf } from './outages.ts';
import { type Listing, recordFailedListing, recordListing } from './record-listing.ts';
import { isBehind, type SearchTool, usuallyFound } from './search-tools.ts';
import type { View } from './view.ts';

/** @throws {PlatformError} `request_invalid` */
const queryOf = (request: ClientRequest, { name, shown }: SearchTool): { query: string; limit: number } => {
  const given = inPlainNumbers(request.params.arguments ?? {});
  // the schema is the same whatever the tool is called here
  const fault = faultIn(given, shown.inputSchema, 'find_tool', 'arguments');
  if (fault !== undefined) throw new PlatformError('request_invalid', `Invalid arguments for tool ${name}: ${fault}.`);
  const { query, limit = usuallyFound } = given as { query: string; limit?: number };
  return { query, limit };
};

type Parts = { context: GatewayContext; pool: Pick<UpstreamPool, 'healthOf'> };

const search = async ({ context, pool }: Parts, request: ClientRequest, view: View, tool: SearchTool, listing: Listing): Promise<Reply> => {
  await context.halts.check(haltableOf(request.principal, tool.tenancy));
  const { query, limit } = queryOf(request, tool);
  const down = sourcesDown(pool, view.sources.filter(isBehind(tool)));
  refuseIncomplete(down);
  // as with lists: what an agent does not see it takes for what it may not use
  const missing = request.principal.kind === 'agent' ? [] : down;
  const { found, offered } = await foundTools(view, tool, query);
  const gone = new Set(missing.map(({ server }) => server.uid));
  const tools: JsonObject[] = found
    .filter(({ server }) => !gone.has(server.uid))
    .slice(0, limit)
    .map(({ shown }) => itemForEra(shown, request.client.era));
  recordListing(context, request, listing, { offered, listed: tools.length });
  const text = tools.length > 0 ? JSON.stringify({ tools }) : 'No tool that you may use fits this query; try other words for it.';
  return { kind: 'result', result: { content: [{ type: 'text', text }], structuredContent: { tools }, ...warningsOf(view, missing) } };
};

/**
 * Answers a call of `find_tool`: the definitions that `tools/list` would have, of the tools that the caller may use and that fit the
 * query, best first. It goes to no server; it is on record as a list is. What belongs to a server that does not answer is left out.
 * @throws {PlatformError} `request_invalid`, `halted`, `server_unavailable` where the toolset shows all of itself or nothing
 */
export const findTool = async (parts: Parts, request: ClientRequest, view: View, tool: SearchTool): Promise<Reply> => {
  const { context } = parts;
  context.audit.assertWritable();
  const listing = { action: 'findTool', startedAt: context.now() };
  try {
    return await search(parts, request, view, tool, listing);
  } catch (thrown) {
    throw recordFailedListing(context, request, listing, thrown);
  }
};
