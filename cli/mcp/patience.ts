import { setTimeout as delay } from 'node:timers/promises';
import { GatewayAway } from './gateway-http.ts';

/** How long a request waits for a gateway that is away, from its first failure on; a restart takes some seconds. */
const longestAwayMs = 60_000;
const longestPauseMs = 2000;

/** A pause that ends early, and quietly, with the signal. */
export const pause = async (milliseconds: number, signal: AbortSignal): Promise<void> => {
  await delay(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
};

/**
 * Does something again as long as the gateway does not answer.
 * @param options.longestMs - when to give up; for streams that stand it is never
 * @throws the last {@link GatewayAway}, and at once whatever is none
 */
export const whileAway = async <T>(
  work: () => Promise<T>,
  { signal, longestMs = longestAwayMs, firstPauseMs = 100 }: { signal: AbortSignal; longestMs?: number; firstPauseMs?: number },
): Promise<T> => {
  let since: number | undefined;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof GatewayAway)) throw error;
      since ??= performance.now();
      if (signal.aborted || performance.now() - since > longestMs) throw error;
      await pause(pauseMs, signal);
    }
  }
};
