import { setTimeout as delay } from 'node:timers/promises';

/**
 * Tries something until it does not throw.
 * @param options.deadlineMs - after this long the last error is thrown
 * @param options.everyMs - pause between two tries; 50 by default
 */
export const pollUntil = async <T>(
  attempt: () => T | Promise<T>,
  { deadlineMs, everyMs = 50, signal }: { deadlineMs: number; everyMs?: number; signal?: AbortSignal | undefined },
): Promise<T> => {
  const until = performance.now() + deadlineMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() >= until) throw error;
    }
    await delay(everyMs, undefined, signal ? { signal } : {});
  }
};
