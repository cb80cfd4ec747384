/**
 * Many writers, few commits: what comes while one batch is being written goes into the next. Each writer waits until its own piece is
 * committed and hears what became of it.
 * @param options.flush - commits a batch; its results are in the order of the items
 * @param options.maxBatch - items in one commit at most
 */
export const createGroupCommit = <Item, Result>({
  flush,
  maxBatch = 500,
}: {
  flush: (items: Item[]) => Promise<Result[]>;
  maxBatch?: number;
}) => {
  type Waiting = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void };
  let waiting: Waiting[] = [];
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      // what else came in this turn of the event loop goes along: a commit costs as much as a dozen items
      await new Promise((resolve) => setImmediate(resolve));
      const batch = waiting.slice(0, maxBatch);
      waiting = waiting.slice(batch.length);
      try {
        const results = await flush(batch.map(({ item }) => item));
        for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = undefined;
  };

  return {
    /** Resolves when the item is committed; rejects with what its whole batch failed with. */
    add: (item: Item): Promise<Result> =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        running ??= run();
      }),
    /** Waits until everything added so far was tried. */
    drained: async (): Promise<void> => {
      while (running) await running;
    },
  };
};
