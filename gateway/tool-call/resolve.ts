import { PlatformError } from '../../schema/errors.ts';
import { decideListing } from '../mcp/decide-listing.ts';
import { exposedTools } from '../mcp/exposed-tools.ts';
import { type ToolCallStep, unknownTool } from './tool-call.ts';

/** Tool name to server and pinned definition, by table. What the caller may never use is as unknown as what does not exist. */
export const resolve: ToolCallStep = async (call, next) => {
  const exposed = exposedTools(call.gateway.declared(), call.endpoint, call.principal);
  if (!exposed.ok) throw exposed.reason === 'conflict' ? new PlatformError('conflict', exposed.detail) : unknownTool(call.name);
  const tool = exposed.tools.get(call.name);
  if (!tool) throw unknownTool(call.name);
  call.decision = decideListing(call.gateway, call.principal, tool);
  if (call.decision.effect === 'deny') throw unknownTool(call.name);
  call.tool = tool;
  return next();
};
