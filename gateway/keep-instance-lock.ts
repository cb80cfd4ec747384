import type { Database } from '../store/database.ts';
import { holdInstanceLock } from '../store/operations.ts';

const retryMs = 500;

/**
 * Holds the lock that says an instance of the gateway lives, and takes it again whenever its connection was lost.
 * @returns a function that gives it back
 */
export const keepInstanceLock = async (database: Database, instance: string): Promise<() => void> => {
  let isReleased = false;
  let release: () => void = () => undefined;
  const hold = async (): Promise<void> => {
    const held = await holdInstanceLock(database, instance, again);
    if (isReleased) held();
    else release = held;
  };
  const again = (): void => {
    if (!isReleased) hold().catch(() => setTimeout(again, retryMs).unref());
  };
  await hold();
  return () => {
    isReleased = true;
    release();
  };
};
