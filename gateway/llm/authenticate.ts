import type { ModelCallStep } from './model-call.ts';

/** Bearer token to principal. The audience is the base of this API, so a token for a toolset is refused here and the other way round. */
export const authenticate: ModelCallStep = async (call, next) => {
  const { gateway, request } = call;
  call.principal = await gateway.authenticate(request.headers.authorization, `${gateway.config.publicUrl}/v1`);
  gateway.serving(call.principal, call.response);
  return next();
};
