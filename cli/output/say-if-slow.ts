import { say } from './talk.ts';

const usuallyAfterMs = 2_000;

/**
 * Waits for what a person waits for too, and tells them what it is where that takes long.
 * @param text - what is waited for, and for how long at most
 */
export const sayIfSlow = async <T>(work: Promise<T>, text: string, { afterMs = usuallyAfterMs }: { afterMs?: number } = {}): Promise<T> => {
  const timer = setTimeout(() => say(text), afterMs);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
};
