import { createInterface } from 'node:readline/promises';
import { CliError, usageError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';

/**
 * Asks a person at the terminal; only `y` or `yes` goes on.
 * @param elsewhere - what a script is told, where nobody can be asked
 * @throws {CliError} `usage` without a terminal; exit code 130 for any other answer
 */
export const confirm = async (question: string, elsewhere: string): Promise<void> => {
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw usageError(elsewhere);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} [y/N] `).finally(() => terminal.close());
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('Nothing was changed', { code: 'cancelled', exitCode: exitCodes.interrupted });
};
