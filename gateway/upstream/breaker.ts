/** Failures in a row that open it. */
const mostFailures = 5;
/** A server that cannot be reached at all is given up sooner. */
const weightOfUnreachable = 2;
const firstPauseMs = 1000;
const longestPauseMs = 30_000;
/** A trial that never says how it ended is counted as failed. */
const trialMs = 30_000;

export type BreakerState = 'closed' | 'open' | 'half-open';
export type Admission = { ok: true; isTrial: boolean } | { ok: false; retryInMs: number };

export type Breaker = {
  state(): BreakerState;
  /** Asks whether the server may be asked; after a pause one may try, and its outcome decides for all. */
  admit(): Admission;
  succeeded(): void;
  failed(how?: { isUnreachable: boolean }): void;
};

/**
 * Keeps callers from a server that does not answer: after failures in a row nobody asks it for a second, then one does, and so on with pauses
 * that double up to half a minute. They vary by a fifth, so that replicas do not come back all at once.
 * @param onChange - told when the server is given up, and when it is taken back
 */
export const createBreaker = ({ now, onChange }: { now: () => number; onChange: (state: 'closed' | 'open') => void }): Breaker => {
  let failures = 0;
  let pauseMs = firstPauseMs;
  let openUntil: number | undefined;
  let trialSince: number | undefined;

  const open = (): void => {
    const isNews = openUntil === undefined;
    openUntil = now() + pauseMs * (0.8 + Math.random() * 0.4);
    pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    trialSince = undefined;
    if (isNews) onChange('open');
  };

  return {
    state: () => (openUntil === undefined ? 'closed' : now() < openUntil ? 'open' : 'half-open'),
    admit: () => {
      if (openUntil === undefined) return { ok: true, isTrial: false };
      if (now() < openUntil) return { ok: false, retryInMs: openUntil - now() };
      if (trialSince !== undefined && now() - trialSince < trialMs) return { ok: false, retryInMs: firstPauseMs };
      trialSince = now();
      return { ok: true, isTrial: true };
    },
    succeeded: () => {
      failures = 0;
      if (openUntil === undefined) return;
      openUntil = undefined;
      trialSince = undefined;
      pauseMs = firstPauseMs;
      onChange('closed');
    },
    failed: ({ isUnreachable } = { isUnreachable: false }) => {
      failures += isUnreachable ? weightOfUnreachable : 1;
      // what was asked before it was given up says nothing new
      const isLate = openUntil !== undefined && trialSince === undefined;
      if (failures >= mostFailures && !isLate) open();
    },
  };
};
