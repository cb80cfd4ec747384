import { spawn } from 'node:child_process';

/** How a command failed: it is not there (`isMissing`), or it ended with an error, of which `detail` is one line without logins. */
export class CommandError extends Error {
  readonly isMissing: boolean;
  readonly detail: string;

  constructor(command: string, detail: string, isMissing: boolean) {
    super(`${command}: ${detail}`);
    this.name = 'CommandError';
    this.detail = detail;
    this.isMissing = isMissing;
  }
}

const keptOutput = 8_192;

/**
 * Runs a command to its end, without a shell and without input.
 * @throws {CommandError}, or the signal's reason when it was aborted
 */
export const runCommand = async (
  command: string,
  commandArguments: readonly string[],
  options: { cwd: string; signal?: AbortSignal },
): Promise<void> => {
  options.signal?.throwIfAborted();
  const child = spawn(command, commandArguments, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-keptOutput);
  });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (options.signal?.aborted) return;
      reject(new CommandError(command, error.code ?? error.message, error.code === 'ENOENT'));
    });
    child.once('close', resolve);
  });
  options.signal?.throwIfAborted();
  if (exitCode !== 0) throw new CommandError(command, firstError(output) || `ended with ${exitCode ?? 'a signal'}`, false);
};

/** npm and pip write many lines of which one says what is wrong. */
const firstError = (output: string): string => {
  const lines = output.split('\n').map((line) => line.replace(/^(npm (error|ERR!)|ERROR:)\s*/i, '').trim());
  const telling = lines.filter(
    (line) => line !== '' && !/^(code|errno|syscall|A complete log)\b/.test(line) && !/\bwarn(ing)?\b/i.test(line),
  );
  return (telling[0] ?? '').replace(/\/\/[^/@\s]+@/g, '//').slice(0, 300);
};
