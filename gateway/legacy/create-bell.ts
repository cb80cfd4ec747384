/** Wakes one waiter. A ring that comes while nobody waits is not lost: the next wait ends at once. */
export const createBell = () => {
  let isRung = false;
  let waiting: (() => void) | undefined;
  return {
    ring: (): void => {
      isRung = true;
      waiting?.();
      waiting = undefined;
    },
    /** @param longestMs - goes on after so long without a ring */
    wait: async (longestMs?: number): Promise<void> => {
      if (!isRung) {
        let timer: NodeJS.Timeout | undefined;
        await new Promise<void>((resolve) => {
          waiting = resolve;
          if (longestMs !== undefined) timer = setTimeout(resolve, longestMs);
        });
        clearTimeout(timer);
      }
      isRung = false;
    },
  };
};
export type Bell = ReturnType<typeof createBell>;
