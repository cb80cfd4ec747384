import type { IncomingMessage } from 'node:http';
import { isPlatformError } from '../../schema/errors.ts';
import type { GatewayContext } from '../gateway-context.ts';

/** Counts a refusal of a caller that nobody knows; what failed for another reason is none. */
export const countUnknownCaller = (
  { unknownCallers }: Pick<GatewayContext, 'unknownCallers'>,
  { socket }: IncomingMessage,
  door: string,
  error: unknown,
): void => {
  if (isPlatformError(error) && error.status === 401) unknownCallers.count({ source: socket.remoteAddress, door, code: error.code });
};
