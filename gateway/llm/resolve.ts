import { decided, type ModelCallStep, required } from './model-call.ts';
import { findVisibleModel } from './visible-models.ts';

/** Alias to model. What the caller may never use is as unknown as what does not exist. */
export const resolve: ModelCallStep = async (call, next) => {
  const { model, decision } = findVisibleModel(call.gateway, required(call.principal, 'the principal'), required(call.name, 'the name'));
  call.model = model;
  decided(call, decision);
  return next();
};
