import { setTimeout as delay } from 'node:timers/promises';

/** Time as the supervisor sees it; tests bring their own. */
export type Clock = {
  /** Milliseconds since some instant. */
  now(): number;
  /** Resolves after `ms`, and at once when aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
};

export const systemClock: Clock = {
  now: () => performance.now(),
  wait: (ms, signal) => delay(ms, undefined, { signal, ref: true }).catch(() => undefined),
};

const firstPauseMs = 200;
const longestPauseMs = 10_000;
/** A process that lived this long was well: its next failure counts as the first. */
const wellAfterMs = 30_000;

/**
 * Counts failures in a row.
 * @param livedMs - from its start to its end
 * @returns failures so far, with this one
 */
export const countFailure = (failures: number, livedMs: number): number => (livedMs >= wellAfterMs ? 1 : failures + 1);

/** @returns how long to wait before the next start: 0.2 s, doubled with each failure in a row, at most 10 s */
export const pauseAfter = (failures: number): number => Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures - 1, 10));
