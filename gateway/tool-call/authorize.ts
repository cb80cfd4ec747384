import { PlatformError } from '../../schema/errors.ts';
import { decide } from '../decide.ts';
import { type Target, targetOf } from '../surface/decide-listing.ts';
import type { Exposed } from '../surface/exposed.ts';
import { required, type ToolCallStep } from './tool-call.ts';

const targets = new WeakMap<Exposed, Map<number, Target>>();

/** The tool as policies see it, made once for each cage that its server was found in. */
const knownTarget = (tool: Exposed, isolation: number): Target => {
  const known = targets.get(tool)?.get(isolation);
  if (known) return known;
  const target = targetOf(tool, isolation);
  const ofTool = targets.get(tool) ?? new Map<number, Target>();
  targets.set(tool, ofTool.set(isolation, target));
  return target;
};

/** The policy decision on principal, tool as pinned, and arguments. A refusal names its rule and what to do. */
export const authorize: ToolCallStep = (call, next) => {
  const tool = required(call.tool, 'the tool');
  const facts = required(call.facts, 'the facts');
  const decision = decide(call.gateway, {
    principal: call.request.principal,
    action: 'callTool',
    ...knownTarget(tool, call.connection?.isolation ?? 0),
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
