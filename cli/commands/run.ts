import { Command } from 'commander';
import { connectedCommand } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { formatOption } from '../output/format-option.ts';
import { lsCommand, showCommand } from './fleet.ts';
import { watchOneRun } from './run-actions.ts';

export const runsCommand = (): Command =>
  withExamples(
    new Command('run')
      .description('Look at runs of fleets')
      .addCommand(lsCommand())
      .addCommand(showCommand())
      .addCommand(
        connectedCommand('watch')
          .description('Show how a run goes until it has ended, and end with its exit code')
          .argument('<run>', 'id of the run')
          .addOption(formatOption(['table', 'json']))
          .action(watchOneRun),
      ),
    [
      ['quarterdeck run watch RUN', 'live, with the exit code of the run'],
      ['quarterdeck run show RUN --agent read/reader/0 --transcript', 'what one agent and its model said'],
    ],
  );
