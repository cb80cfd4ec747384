/**
 * What a piece of work comes to, unless a signal is aborted before: then nobody waits for it any more, whatever it still does.
 * @throws what `signal` is aborted with
 */
export const beforeAbort = async <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
  work.catch(() => undefined); // of whom nobody waits nobody hears
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const end = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', end, { once: true });
  return Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener('abort', end));
};
