/**
 * Reads now, and again every `pollMs`, never twice at the same moment.
 * @param options.read - its first failure is thrown
 * @param options.onFailure - told of any later one
 * @returns `close`, which waits for a read that is under way
 */
export const readAgain = async ({
  read,
  pollMs,
  onFailure,
}: {
  read: () => Promise<void>;
  pollMs: number;
  onFailure: (error: unknown) => void;
}): Promise<{ close(): Promise<void> }> => {
  let reading: Promise<void> | undefined;
  await read();
  const timer = setInterval(() => {
    reading ??= read()
      .catch(onFailure)
      .finally(() => {
        reading = undefined;
      });
  }, pollMs);
  timer.unref();
  return {
    close: async () => {
      clearInterval(timer);
      await reading;
    },
  };
};
