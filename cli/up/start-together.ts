/**
 * Does several starts at once. When one fails, the others are told to give up and are waited for, so that nothing is still being
 * started while the rest is stopped.
 * @throws the first failure, or the reason of `signal`
 */
export const startTogether = async (starts: ((signal: AbortSignal) => Promise<void>)[], signal?: AbortSignal): Promise<void> => {
  const failure = new AbortController();
  const until = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
  await Promise.allSettled(
    starts.map((start) =>
      start(until).catch((error: unknown) => {
        failure.abort(error);
      }),
    ),
  );
  signal?.throwIfAborted();
  failure.signal.throwIfAborted();
};
