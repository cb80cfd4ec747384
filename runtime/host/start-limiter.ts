/** How often a server may be started before it has to rest, so that one that dies at once does not keep the machine busy. */
const maximumStarts = 5;
const windowMs = 60_000;

/** `take` uses up one start and returns 0, or returns the milliseconds until there is one again. */
export type StartLimiter = { take(): number };

/** Allows five starts in any 60 s. @param now - clock in milliseconds */
export const createStartLimiter = (now: () => number): StartLimiter => {
  let starts: number[] = [];
  return {
    take: () => {
      const time = now();
      starts = starts.filter((start) => time - start < windowMs);
      const [oldest] = starts;
      if (oldest !== undefined && starts.length >= maximumStarts) return windowMs - (time - oldest);
      starts.push(time);
      return 0;
    },
  };
};
