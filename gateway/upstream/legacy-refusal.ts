import type { Flight } from './flight.ts';
import { isModernError, isUnread, lostByRefusal, type Refusal } from './refusal.ts';
import { UpstreamLost } from './upstream-lost.ts';

/** Whether the server does not know the session any more: by the status that says so, or by refusing what it could not put to a session. */
export const isForgotten = (refusal: Refusal): boolean =>
  !refusal.isOurs && !isModernError(refusal) && (refusal.status === 404 || (refusal.status === 400 && refusal.error !== undefined));

/**
 * Ends a request that a legacy server refused with an HTTP status.
 * @param options.hasSession - it went out in a session: that this one is not known means that nothing was done (2025-11-25, session management)
 * @param options.onContradiction - told when the server turns out to be a modern one
 */
export const settleRefusal = (
  flight: Flight,
  refusal: Refusal,
  { hasSession, onContradiction }: { hasSession: boolean; onContradiction: () => void },
): void => {
  if (isModernError(refusal)) {
    onContradiction();
    flight.fail(new UpstreamLost(false, refusal.error, 'refused'));
  } else if (refusal.error && refusal.isOurs) flight.settle({ kind: 'error', error: refusal.error });
  else flight.fail(lostByRefusal(refusal, isUnread(refusal) || (hasSession && isForgotten(refusal))));
};
