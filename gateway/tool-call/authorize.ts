import { decide } from '../decide.ts';
import { serverKeyOf } from '../exchange/exchange-with-server.ts';
import { flowFacts, flowReason } from '../labels/flow-facts.ts';
import type { Reply } from '../mcp/message.ts';
import { targetOf } from '../surface/decide-listing.ts';
import { argumentRefused } from '../surface/refuse.ts';
import { narrow } from './narrow.ts';
import { needPerson } from './need-person.ts';
import { required, type ToolCallStep } from './tool-call.ts';

/**
 * The policy decision on principal, tool as pinned, and arguments: allow, deny, or a person is needed. What is not denied, Rego of the
 * project may still refuse. A refusal names its rule and what to do.
 */
export const authorize: ToolCallStep = (call, next) => {
  const tool = required(call.tool, 'the tool');
  const facts = required(call.facts, 'the facts');
  const decision = decide(call.gateway, {
    principal: call.request.principal,
    action: 'callTool',
    ...targetOf(tool, call.connection?.isolation),
    facts: { arguments: facts, ...flowFacts(call.carried) },
  });
  call.decision = decision;
  const allowed = (): Promise<Reply> => {
    const { standing } = call.request;
    const { approvers } = call;
    const isolation = call.connection?.isolation ?? 0;
    if (standing)
      standing.asked = { tool: call.name, server: serverKeyOf(tool.server), isolation, facts, ...(approvers ? { approvers } : {}) };
    return next();
  };
  const { effect, need } = decision;
  if (effect !== 'allow' && !need) throw argumentRefused(tool.name, decision, flowReason(decision, call.carried));
  const goOn = (): Promise<Reply> => (need ? needPerson(call, need, allowed) : allowed());
  const { rego } = call.gateway;
  if (rego.isIdle()) return goOn();
  // what Rego refuses nobody is asked to approve
  const narrowing = narrow(call);
  return narrowing ? narrowing.then(goOn) : goOn();
};
