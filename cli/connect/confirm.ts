import { createInterface } from 'node:readline/promises';
import { CliError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';

/** Asks a person, and nobody else: a script says what it means. @throws {CliError} `cancelled` on a no */
export const confirm = async (question: string, isSaid: boolean | undefined): Promise<void> => {
  if (isSaid || !process.stdin.isTTY || !process.stderr.isTTY) return;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} [Y/n] `).finally(() => terminal.close());
  if (!/^(y(es)?)?$/i.test(answer.trim()))
    throw new CliError('Nothing was written', { code: 'cancelled', exitCode: exitCodes.interrupted });
};
