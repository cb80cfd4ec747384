import { threadCpuUsage } from 'node:process';
import { createContext, Script } from 'node:vm';

const script = new Script('work()');
const scope: { work?: () => unknown } = createContext({});
const mostTries = 8;

/** What was worked out, or nothing where the time was over. */
export type Timed<Result> = { ok: true; value: Result } | { ok: false };

const once = <Result>(limitMs: number, work: () => Result): Timed<Result> => {
  const outer = scope.work;
  scope.work = work;
  try {
    return { ok: true, value: script.runInContext(scope, { timeout: limitMs }) as Result };
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return { ok: false };
    throw error;
  } finally {
    scope.work = outer;
  }
};

const processorMs = (): number => {
  const { user, system } = threadCpuUsage();
  return (user + system) / 1000;
};

/**
 * Does work that has no `await` in it and may take for ever, such as holding a text against a pattern that somebody else wrote, and breaks it
 * off when its time is over: in the middle of a regular expression too. The watch costs a tenth of a millisecond.
 * @param limitMs - of the processor's time: on a machine that does other things meanwhile it is begun again, and waited for
 * @param work - touches nothing that would be left half done, and can be begun again
 * @returns what `work` returned; what it throws is thrown
 */
export const withinTime = <Result>(limitMs: number, work: () => Result): Timed<Result> => {
  for (let tries = 1; ; tries += 1) {
    const before = processorMs();
    const done = once(limitMs * 2 ** (tries - 1), work);
    // a watch that looks at the clock comes a little early now and then
    if (done.ok || tries === mostTries || processorMs() - before >= limitMs * 0.8) return done;
  }
};
