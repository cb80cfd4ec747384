import { isPlatformError, PlatformError, toPlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { refuse } from '../edge/answer-json.ts';
import { rpcErrorOf } from '../exchange/error-reply.ts';
import type { HttpAnswer } from '../front/http-exchange.ts';
import type { RequestId } from '../mcp/message.ts';

/** Refuses an HTTP request with the status of the error. @param retryAfterSeconds - for errors that pass */
export const answerError = (
  response: HttpAnswer,
  thrown: unknown,
  { id = null, logger, retryAfterSeconds }: { id?: RequestId | null; logger: Logger; retryAfterSeconds: number },
): void => {
  if (!isPlatformError(thrown)) logger.error({ err: thrown }, 'a request failed inside');
  if (response.destroyed) return;
  if (response.headersSent) return void response.destroy();
  const error = toPlatformError(thrown);
  refuse(
    response,
    error.status,
    id,
    rpcErrorOf(error),
    error.status === 503 && error.isRetryable ? { 'retry-after': String(retryAfterSeconds) } : {},
  );
};

/** As the transport has it: whoever gets this begins a new session. */
export const sessionUnknown = (): PlatformError =>
  new PlatformError('session_unknown', 'There is no such session, or not for you here; begin one with `initialize`.');
