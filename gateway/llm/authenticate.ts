import { carrierOf } from '../auth/carrier-of.ts';
import type { ModelCallStep } from './model-call.ts';

/** Access token to principal. The audience is the base of this API, so a token for a toolset is refused here and the other way round. */
export const authenticate: ModelCallStep = async (call, next) => {
  const { gateway, request } = call;
  const { publicUrl } = gateway.config;
  const path = (request.url ?? '/').split('?', 1)[0];
  call.principal = await gateway.authenticate(request.headers.authorization, `${publicUrl}/v1`, carrierOf(request, `${publicUrl}${path}`));
  gateway.serving(call.principal, call.response);
  return next();
};
