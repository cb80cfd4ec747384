import { PlatformError } from '../../schema/errors.ts';
import { loginWanted } from '../auth/login-wanted.ts';
import { decide } from '../decide.ts';
import { flowFacts, flowReason } from '../labels/flow-facts.ts';
import { worstOutputTokens } from './chat-request.ts';
import { decided, type ModelCallStep, required } from './model-call.ts';
import { modelTarget } from './visible-models.ts';

/** The policy decision on principal, model and the tokens that the answer may have. A refusal names its rule and what to do. */
export const authorize: ModelCallStep = async (call, next) => {
  const model = required(call.model, 'the model');
  const maxTokens = worstOutputTokens(required(call.chat, 'the request'), model.spec.maxOutputTokens);
  const principal = required(call.principal, 'the principal');
  const decision = decided(
    call,
    decide(call.gateway, { principal, action: 'invokeModel', ...modelTarget(model), facts: { maxTokens, ...flowFacts(call.carried) } }),
  );
  if (decision.effect === 'allow') return next();
  const rule = decision.policies.length > 0 ? decision.policies.join(', ') : 'no policy permits it';
  if (decision.wantedLogin) throw loginWanted(model.metadata.name, decision.wantedLogin, { rule });
  const advice = decision.advice.length > 0 ? decision.advice.join(' ') : 'Ask the owner of the project for a policy that permits it.';
  const because = flowReason(decision, call.carried);
  throw new PlatformError('not_permitted', `${model.metadata.name}: refused by ${rule}. ${advice}${because === '' ? '' : ` ${because}`}`, {
    facts: { rule },
  });
};
