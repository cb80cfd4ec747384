import { setTimeout as sleep } from 'node:timers/promises';
import { CliError } from '../output/cli-error.ts';

/**
 * Repeats a request while the platform does not answer: it may be starting again.
 * @param options.forMs - how long, from the first failure on
 * @param options.onAway - called once, when the first request failed
 * @throws the last failure, and at once whatever is no such failure
 */
export const patiently = async <T>(
  work: () => Promise<T>,
  { forMs = 60_000, pauseMs = 500, onAway, signal }: { forMs?: number; pauseMs?: number; onAway?: () => void; signal?: AbortSignal } = {},
): Promise<T> => {
  let since: number | undefined;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CliError && error.isAway)) throw error;
      if (since === undefined) onAway?.();
      since ??= performance.now();
      if (performance.now() - since > forMs || signal?.aborted) throw error;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
};
