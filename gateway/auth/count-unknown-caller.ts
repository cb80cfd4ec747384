import { isPlatformError } from '../../schema/errors.ts';
import type { HttpRequest } from '../front/http-exchange.ts';
import type { GatewayContext } from '../gateway-context.ts';

/** Counts a refusal of a caller that nobody knows; what failed for another reason is none. */
export const countUnknownCaller = (
  { unknownCallers, sourceOf }: Pick<GatewayContext, 'unknownCallers' | 'sourceOf'>,
  request: HttpRequest,
  door: string,
  error: unknown,
): void => {
  if (!isPlatformError(error) || error.status !== 401) return;
  const peer = 'body' in request ? request.remoteAddress : request.socket.remoteAddress;
  const source = sourceOf(peer, request.headers);
  unknownCallers.count({ source, door, code: error.code });
};
