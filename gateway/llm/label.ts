import { type ModelCallStep, required } from './model-call.ts';

/** The labels of what the caller has read so far join the call's facts: a model's provider is told all of it. */
export const label: ModelCallStep = async (call, next) => {
  const carried = await call.gateway.labels.of(required(call.principal, 'the principal'), true);
  if (carried) call.carried = carried;
  return next();
};
