/**
 * Does something again and again, one at a time, for as long as it is not closed. A failure ends nothing; of several in a row the first is told.
 * @param options.intervalMs - from the end of one to the beginning of the next
 * @param options.onFailure - told when it begins to fail
 * @param options.onRecovery - told when it succeeds again
 * @returns `again`, which does it once more now, and `close`, which waits for what is under way
 */
export const repeat = ({
  work,
  intervalMs,
  onFailure,
  onRecovery = () => undefined,
}: {
  work: () => Promise<unknown>;
  intervalMs: number;
  onFailure: (error: unknown) => void;
  onRecovery?: () => void;
}): { again(): Promise<void>; close(): Promise<void> } => {
  let isClosed = false;
  let isFailing = false;
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> = Promise.resolve();

  const again = async (): Promise<void> => {
    try {
      await work();
      if (isFailing) onRecovery();
      isFailing = false;
    } catch (error) {
      // said once, not at every interval of a long outage
      if (!isFailing) onFailure(error);
      isFailing = true;
    }
  };
  const next = (delayMs: number): void => {
    timer = setTimeout(() => {
      current = again().then(() => {
        if (!isClosed) next(intervalMs);
      });
    }, delayMs);
    timer.unref();
  };
  next(0);

  return {
    again,
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await current;
    },
  };
};
