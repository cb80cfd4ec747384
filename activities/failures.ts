import { CancelledFailure, Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { errorKinds, isPlatformError, toPlatformError } from '../schema/errors.ts';
import type { Logger } from '../telemetry/logger.ts';

/** The place in our sources where an error was thrown: its message may quote content, so it is not logged. */
const placeOf = (error: unknown): { cause: string; at: string } => {
  const { name = typeof error, stack = '' } = (error ?? {}) as { name?: string; stack?: string };
  return { cause: name, at: /^\s*at .*$/m.exec(stack)?.[0]?.trim() ?? '' };
};

/**
 * Turns whatever an activity threw into what Temporal's history may hold: the error's code as `type` and its title as message, no
 * detail, no cause. Retryable codes are tried again by the workflow's policy.
 */
export const toFailure = (thrown: unknown): ApplicationFailure => {
  const error = toPlatformError(thrown);
  const { retryAfterSeconds } = error.facts;
  const failure = ApplicationFailure.create({
    type: error.code,
    message: errorKinds[error.code].title,
    nonRetryable: !error.isRetryable,
    // whoever said when to come again is not asked before; longer than a minute is tried now and then
    ...(typeof retryAfterSeconds === 'number' ? { nextRetryDelay: Math.min(retryAfterSeconds, 60) * 1000 } : {}),
  });
  failure.stack = '';
  return failure;
};

type Activity = (...input: never[]) => Promise<unknown>;

/** Wraps activities so that each failure is logged by code and rendered by `toFailure`; a cancelled call ends as cancelled. */
export const withFailures = <Activities extends Record<string, Activity>>(activities: Activities, logger: Logger): Activities =>
  Object.fromEntries(
    Object.entries(activities).map(([name, activity]) => [
      name,
      async (...input: never[]) => {
        try {
          return await activity(...input);
        } catch (error) {
          if (error instanceof CancelledFailure) throw error;
          const { cancellationSignal, cancelled, info } = Context.current();
          if (cancellationSignal.aborted) return await cancelled;
          const platformError = toPlatformError(error);
          const place = placeOf(isPlatformError(error) ? error.cause : error);
          logger.warn(
            { activity: name, workflowId: info.workflowExecution?.workflowId, attempt: info.attempt, code: platformError.code, ...place },
            'activity failed',
          );
          throw toFailure(error);
        }
      },
    ]),
  ) as Activities;

const heartbeatMs = 2000;

/** Runs a long call while the activity says that it is alive; Temporal's answer to that is how a cancellation arrives. */
export const withHeartbeat = async <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const context = Context.current();
  context.heartbeat();
  const timer = setInterval(() => context.heartbeat(), heartbeatMs);
  try {
    return await work(context.cancellationSignal);
  } finally {
    clearInterval(timer);
  }
};
