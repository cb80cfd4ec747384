/**
 * What a log may say of a foreign error: its kind, code and place. Its message may hold what it was about, such as the parameters
 * of a statement.
 */
export const describeCause = (thrown: unknown): { name?: string; code?: string; at?: string[] } => {
  let innermost = thrown;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  if (!(innermost instanceof Error)) return { name: typeof thrown };
  const { name, code, stack } = innermost as Error & { code?: unknown };
  const at = stack?.split('\n').filter((line) => line.startsWith('    at '));
  return { name, ...(code === undefined ? {} : { code: String(code) }), ...(at ? { at } : {}) };
};
