/** Gives out one turn at a time, first come, first served. */
export type TurnQueue = {
  /** Whether somebody has the turn or waits for it. */
  readonly isBusy: boolean;
  /**
   * Waits for the turn.
   * @returns a function that ends the turn; to be called once
   * @throws the signal's reason when it is aborted while waiting, and what `createTurnQueue` was given when too many wait
   */
  take(signal: AbortSignal): Promise<() => void>;
};

/** @param refuse - makes the error for one who comes when `maximumWaiting` are waiting already */
export const createTurnQueue = (maximumWaiting: number, refuse: () => Error): TurnQueue => {
  const waiting: (() => void)[] = [];
  let isTaken = false;
  const end = (): void => {
    const next = waiting.shift();
    if (next === undefined) isTaken = false;
    else next();
  };
  return {
    get isBusy() {
      return isTaken;
    },
    async take(signal) {
      signal.throwIfAborted();
      if (!isTaken) {
        isTaken = true;
        return end;
      }
      if (waiting.length >= maximumWaiting) throw refuse();
      const turn = Promise.withResolvers<void>();
      waiting.push(turn.resolve);
      const leave = (): void => {
        const place = waiting.indexOf(turn.resolve);
        if (place === -1) return; // The turn came in the same moment; its holder notices the abort.
        waiting.splice(place, 1);
        turn.reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      await turn.promise.finally(() => signal.removeEventListener('abort', leave));
      return end;
    },
  };
};
