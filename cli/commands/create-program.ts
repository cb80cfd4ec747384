import { Command } from 'commander';
import { withExamples } from '../output/command-help.ts';
import { productVersion } from '../product-version.ts';
import { commandTable } from './command-table.ts';

/** Has mistakes thrown instead of ending the process, in each command of the tree. */
const throwMistakes = (command: Command): void => {
  command
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => undefined }); // the one place that renders errors says it
  for (const child of command.commands) throwMistakes(child);
};

/**
 * Builds the program for one command line: the command that is called in full, of the others what the help lists.
 * @param args - arguments without the program's own name
 */
export const createProgram = async (args: string[]): Promise<Command> => {
  const program = withExamples(
    new Command('quarterdeck')
      .description('Runs fleets of narrow-role AI agents as Temporal workflows behind one policy-enforcing gateway.')
      .version(productVersion, '-v, --version')
      .option('--no-color', 'no colours, as with NO_COLOR; anywhere on the line')
      .helpOption('-h, --help', 'show what a command does, with examples')
      .helpCommand('help [command]', 'show what a command does'),
    [
      ['quarterdeck up', 'start the platform'],
      ['quarterdeck apply -f examples/survey', 'declare a fleet and what it needs'],
      ['quarterdeck fleet run survey --input path=.', 'launch it and watch'],
      ['quarterdeck audit query --since 10m', 'see each call and its decision'],
    ],
  );
  const called = args[0] === 'help' ? args[1] : args.find((arg) => !arg.startsWith('-'));
  for (const { name, group, summary, register } of commandTable) {
    if (name === called) await register(program);
    else program.command(name).description(summary);
    program.commands
      .find((command) => command.name() === name)
      ?.summary(summary)
      .helpGroup(group);
  }
  throwMistakes(program);
  return program;
};
