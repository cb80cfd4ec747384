import type { Command } from 'commander';

/** Puts examples before everything else a command's help says. */
export const withExamples = (command: Command, examples: [command: string, what: string][]): Command => {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}  # ${what}`);
  return command.addHelpText('before', `Examples:\n${lines.join('\n')}\n`);
};
