import { argumentsOf } from '../surface/exposed.ts';
import { unmapArguments } from '../surface/map-uris.ts';
import { viewOf } from '../surface/view.ts';
import { type ToolCallStep, unknownTool } from './tool-call.ts';

/**
 * Tool name to server and pinned definition, by table, and the arguments as that server is to have them. What the caller may never use
 * is as unknown as what does not exist.
 */
export const resolve: ToolCallStep = (call, next) => {
  const { principal, endpoint } = call.request;
  const { item, decision } = viewOf(call.gateway, principal, endpoint).find('tool', call.name);
  call.decision = decision;
  if (!item) throw unknownTool(call);
  call.tool = item;
  call.arguments = argumentsOf(item, unmapArguments(item.key, call.arguments));
  return next();
};
