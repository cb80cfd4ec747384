/**
 * Hands messages on one after another: who reads them is paused while one is not done, so that a slow taker slows the sender. What was read
 * before the pause waits here; that is one chunk of a stream at most.
 */
export const createMessageQueue = <Message>(
  take: (message: Message) => void | Promise<void>,
  reader: { pause(): void; resume(): void },
) => {
  const waiting: Message[] = [];
  let busy: Promise<void> | undefined;
  let onIdle: (() => void) | undefined;

  const work = async (first: void | Promise<void>): Promise<void> => {
    await first;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await take(next);
  };

  return {
    push: (message: Message): void => {
      if (busy) return void waiting.push(message);
      const done = take(message);
      if (!(done instanceof Promise)) return;
      reader.pause();
      busy = work(done)
        .catch(() => waiting.splice(0).length)
        .then(() => {
          busy = undefined;
          reader.resume();
          onIdle?.();
        });
    },
    /** Calls back once everything that was pushed is done. */
    whenIdle: (then: () => void): void => {
      if (busy) onIdle = then;
      else then();
    },
  };
};
