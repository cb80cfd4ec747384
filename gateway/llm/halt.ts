import { haltableOf } from '../limits/follow-halts.ts';
import { CallerLeft, type ModelCallStep, required } from './model-call.ts';

/** The brake: what is halted does not begin, and a call under way is given up as if its caller had left, who then hears why. */
export const halt: ModelCallStep = async (call, next) => {
  const { halts } = call.gateway;
  const { metadata } = required(call.model, 'the model');
  const what = haltableOf(required(call.principal, 'the caller'), metadata, { model: metadata.name });
  await halts.check(what);
  const underWay = halts.begin(what);
  call.underWay = underWay;
  underWay.cut = () => call.caller.abort();
  try {
    return await next();
  } catch (error) {
    throw underWay.halted && error instanceof CallerLeft ? underWay.halted : error;
  } finally {
    halts.end(underWay);
  }
};
