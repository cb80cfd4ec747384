import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { textOf } from '../mcp/message.ts';
import { argumentRefused, unknownPrompt, unknownResource } from '../surface/refuse.ts';
import type { ResourceDirectory } from '../surface/resource-directory.ts';
import { viewOf } from '../surface/view.ts';
import { narrowAgain } from '../tool-call/narrow.ts';
import { unknownTool } from '../tool-call/tool-call.ts';
import { carryUse, mayStillUse, type ToolUse } from './may-still-use.ts';

/**
 * Asks policy again before a parked call is gone on with.
 * @param asked - what a tool call was allowed for
 * @throws {PlatformError} what the request would be refused with, were it made now
 */
export const assertStillAllowed = async (
  { gateway, directory }: { gateway: GatewayContext; directory: Pick<ResourceDirectory, 'locate'> },
  request: ClientRequest,
  asked: ToolUse | undefined,
): Promise<void> => {
  const { principal, endpoint, method, params } = request;
  if (asked) {
    const still = mayStillUse(gateway, request, asked);
    if (still.ok) {
      if (!gateway.rego.isIdle()) await narrowAgain(gateway, request, still.item, { facts: asked.facts, decision: still.decision });
      return carryUse(gateway, request, asked);
    }
    const { reason, decision } = still;
    throw reason === 'unknown' ? unknownTool({ name: asked.tool, decision }) : argumentRefused(asked.tool, decision);
  }
  if (method === 'prompts/get') {
    const { item, decision } = viewOf(gateway, principal, endpoint).find('prompt', textOf(params.name));
    if (!item) throw unknownPrompt(textOf(params.name), decision);
  }
  if (method === 'resources/read') {
    const { source, decision } = await directory.locate(request, textOf(params.uri));
    if (!source) throw unknownResource(textOf(params.uri), decision);
  }
};
