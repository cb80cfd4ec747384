import type { RunProgress } from '../../schema/run.ts';
import { CliError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';
import type { Format } from '../output/format-option.ts';
import { endingText, exitCodeOfRun, hasEnded } from '../output/run-text.ts';
import { createRunView } from '../output/run-view.ts';
import { print, say } from '../output/talk.ts';
import { commandName } from './command-name.ts';
import type { Session } from './session.ts';
import { watchRun } from './watch-run.ts';

/** Runs some work with a signal that Ctrl-C aborts, instead of ending the process. */
export const interruptible = async <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const interruption = new AbortController();
  const stop = (): void => interruption.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await work(interruption.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
};

/**
 * Waits for a run and ends with its exit code. Data goes to stdout: where the result lies, or the whole run as JSON.
 * @throws {CliError} exit code 130 when Ctrl-C ended the waiting; the run goes on
 */
export const followRun = async (
  { api, path, config }: Session,
  id: string,
  { isShown, format }: { isShown: boolean; format: Format },
): Promise<RunProgress> => {
  const view = createRunView({ isWanted: isShown, colours: config.colours });
  const run = await interruptible((signal) => watchRun(api, `${path}/runs/${id}`, { view, signal }));
  if (!run || !hasEnded(run))
    throw new CliError(`The waiting was interrupted; run ${id} goes on`, {
      code: 'interrupted',
      exitCode: exitCodes.interrupted,
      next: `watch it with \`${commandName(config)} run watch ${id}\`, or cancel it with \`${commandName(config)} fleet cancel ${id}\``,
    });
  process.exitCode = exitCodeOfRun(run.state);
  if (format === 'json') print(JSON.stringify(run, undefined, 2));
  else if (run.result) print(run.result);
  say(endingText(run, new Date(), commandName(config)));
  return run;
};
