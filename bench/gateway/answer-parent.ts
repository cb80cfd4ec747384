/** What the parent asks a child process of the bench, and what it gets back. */
export type Question = { id: number; name: string; input: unknown };
export type Answer = { id: number; output?: unknown; error?: string };

/** Processor time of this process so far, user and system together, in microseconds. */
export const processorMicros = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/**
 * Makes this process a child of the bench: it answers what the parent asks by name, `processorMicros` among it, and ends when the parent
 * is gone, however that ended.
 */
export const answerParent = (
  // biome-ignore lint/suspicious/noExplicitAny: each answer knows what it is asked with; the parent's `ask` says it again
  answers: Readonly<Record<string, (input: any) => unknown>>,
): void => {
  const all: typeof answers = { ...answers, processorMicros };
  process.on('disconnect', () => process.exit(0));
  process.on('SIGINT', () => undefined); // Ctrl-C is the parent's affair
  process.on('message', async ({ id, name, input }: Question) => {
    const send = (answer: Answer): void => void process.send?.(answer);
    try {
      send({ id, output: await all[name]?.(input) });
    } catch (error) {
      send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
};
