/** Collects what has to be undone; runs it newest first, once. A step that fails does not keep the others from running. */
export const createUndo = () => {
  const steps: (() => unknown)[] = [];
  return {
    add: (step: () => unknown): void => void steps.unshift(step),
    run: async (): Promise<void> => {
      for (const step of steps.splice(0))
        try {
          await step();
        } catch {
          // the rest is undone all the same
        }
    },
  };
};
export type Undo = ReturnType<typeof createUndo>;
