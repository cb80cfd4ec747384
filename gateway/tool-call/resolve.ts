import { newDecisionId } from '../decide.ts';
import { decideListing } from '../mcp/decide-listing.ts';
import { exposedTools } from '../mcp/exposed-tools.ts';
import { type ToolCallStep, unknownTool } from './tool-call.ts';

/** Tool name to server and pinned definition, by table. What the caller may never use is as unknown as what does not exist. */
export const resolve: ToolCallStep = async (call, next) => {
  const exposed = exposedTools(call.gateway.declared(), call.endpoint, call.principal);
  // why a toolset cannot be served is in its condition, for those who may read that
  const tool = exposed.ok ? exposed.tools.get(call.name) : undefined;
  if (!tool) {
    call.decision = { effect: 'deny', policies: [], advice: [], decisionId: newDecisionId() };
    throw unknownTool(call);
  }
  call.decision = decideListing(call.gateway, call.principal, tool);
  if (call.decision.effect === 'deny') throw unknownTool(call);
  call.tool = tool;
  return next();
};
