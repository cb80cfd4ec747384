/** Time of the processor that this thread takes for a piece of work, in milliseconds: what others do on the machine does not count. */
const processorMs = (work: () => void): number => {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
};

/**
 * How many times as long a work takes on a megabyte of a text as on an eighth of it, the best of three tries each: 8 where time grows with
 * the length, 64 where it grows with its square. What is over in two milliseconds counts as two.
 */
export const growthOfTime = (piece: string, work: (text: string) => void): number => {
  const textOf = (bytes: number): string => piece.repeat(Math.ceil(bytes / piece.length));
  const best = (text: string): number => Math.min(...[1, 2, 3].map(() => processorMs(() => work(text))));
  const [small, large] = [textOf(1 << 17), textOf(1 << 20)];
  work(small); // compiled before it is measured
  return best(large) / Math.max(best(small), 2);
};
