import { isPlatformError } from '../../schema/errors.ts';

type Kept<T> = { value: T; readAt: number };

/**
 * Keeps what was read from a secret store for a while, and reads it once however many ask at the same time. When the store does not answer,
 * what was read last is good for `staleMs` more; a store that refuses is believed at once.
 */
export const createKeptValues = <T>({ ttlMs, staleMs, now = Date.now }: { ttlMs: number; staleMs: number; now?: () => number }) => {
  const kept = new Map<string, Kept<T>>();
  const reading = new Map<string, Promise<T>>();

  const read = async (key: string, load: () => Promise<T>): Promise<T> => {
    try {
      const value = await load();
      kept.set(key, { value, readAt: now() });
      return value;
    } catch (error) {
      const last = kept.get(key);
      const isOutage = isPlatformError(error) && error.facts.reason === 'unreachable';
      if (last && isOutage && now() - last.readAt < ttlMs + staleMs) return last.value;
      if (!isOutage) kept.delete(key);
      throw error;
    }
  };

  return {
    get: (key: string, load: () => Promise<T>): Promise<T> => {
      const last = kept.get(key);
      if (last && now() - last.readAt < ttlMs) return Promise.resolve(last.value);
      let pending = reading.get(key);
      if (!pending) {
        pending = read(key, load).finally(() => reading.delete(key));
        reading.set(key, pending);
      }
      return pending;
    },
    /** The next `get` reads anew, and does not fall back to what was read before. */
    forget: (key: string): void => void kept.delete(key),
  };
};
