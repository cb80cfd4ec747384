import { isPlatformError } from '../../schema/errors.ts';
import type { HttpRequest } from '../front/http-exchange.ts';
import type { GatewayContext } from '../gateway-context.ts';

/** Counts a refusal of a caller that nobody knows; what failed for another reason is none. */
export const countUnknownCaller = (
  { unknownCallers }: Pick<GatewayContext, 'unknownCallers'>,
  request: HttpRequest,
  door: string,
  error: unknown,
): void => {
  if (!isPlatformError(error) || error.status !== 401) return;
  const source = 'body' in request ? request.remoteAddress : request.socket.remoteAddress;
  unknownCallers.count({ source, door, code: error.code });
};
