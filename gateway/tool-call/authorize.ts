import { decide } from '../decide.ts';
import { serverKeyOf } from '../exchange/exchange-with-server.ts';
import { targetOf } from '../surface/decide-listing.ts';
import { argumentRefused } from '../surface/refuse.ts';
import { required, type ToolCallStep } from './tool-call.ts';

/** The policy decision on principal, tool as pinned, and arguments. A refusal names its rule and what to do. */
export const authorize: ToolCallStep = (call, next) => {
  const tool = required(call.tool, 'the tool');
  const facts = required(call.facts, 'the facts');
  const decision = decide(call.gateway, {
    principal: call.request.principal,
    action: 'callTool',
    ...targetOf(tool, call.connection?.isolation),
    facts: { arguments: facts },
  });
  call.decision = decision;
  if (decision.effect !== 'allow') throw argumentRefused(tool.name, decision);
  const { standing } = call.request;
  if (standing) standing.asked = { tool: call.name, server: serverKeyOf(tool.server), isolation: call.connection?.isolation ?? 0, facts };
  return next();
};
