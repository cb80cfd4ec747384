import { PlatformError } from '../../schema/errors.ts';
import { decide } from '../decide.ts';
import { toolTarget } from '../mcp/decide-listing.ts';
import { required, type ToolCallStep } from './tool-call.ts';

/** The policy decision on principal, tool as pinned, and arguments. A refusal names its rule and what to do. */
export const authorize: ToolCallStep = async (call, next) => {
  const tool = required(call.tool, 'the tool');
  const facts = required(call.facts, 'the facts');
  const decision = decide(call.gateway, {
    principal: call.principal,
    action: 'callTool',
    ...toolTarget(tool, call.connection?.isolation),
    facts: { arguments: facts },
  });
  call.decision = decision;
  if (decision.effect === 'allow') return next();
  const rule = decision.policies.length > 0 ? decision.policies.join(', ') : 'no policy permits it';
  const advice =
    decision.advice.length > 0
      ? decision.advice.join(' ')
      : 'Ask the owner of the project for a policy that permits it, or use other arguments.';
  throw new PlatformError('argument_refused', `${tool.name}: refused by ${rule}. ${advice}`, {
    facts: { decisionId: decision.decisionId, rule },
  });
};
