import { isPlatformError, toPlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { rpcErrorOf } from '../exchange/error-reply.ts';
import type { Reply } from '../mcp/message.ts';

/** Whatever was thrown, as an answer; what is not a refusal of ours goes to the log, and only there. */
export const errorReply = (thrown: unknown, logger: Logger): Reply => {
  if (!isPlatformError(thrown)) logger.error({ err: thrown }, 'a request failed inside');
  return { kind: 'error', error: rpcErrorOf(toPlatformError(thrown)) };
};
