import type { CommanderError } from 'commander';
import { type CliError, usageError } from './cli-error.ts';

/**
 * Says what is wrong with a command line, and where its help is.
 * @returns undefined where nothing is wrong: help and version were asked for. An empty message where the help has been shown instead.
 */
export const explainMistake = ({ code, exitCode, message }: CommanderError, args: string[]): CliError | undefined => {
  if (exitCode === 0) return undefined;
  if (code === 'commander.help') return usageError('');
  const [command = ''] = args.filter((arg) => !arg.startsWith('-'));
  const isUnknownCommand = code === 'commander.unknownCommand' && message.includes(`'${command}'`);
  const text = message.replace(/^error: /, '').replaceAll('\n', ' ');
  return usageError(text.charAt(0).toUpperCase() + text.slice(1), `quarterdeck ${isUnknownCommand ? '' : `${command} `}--help`);
};
