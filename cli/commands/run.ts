import { Command } from 'commander';
import { connectedCommand } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { formatOption } from '../output/format-option.ts';
import { lsCommand, showCommand } from './fleet.ts';
import { revokeRun, watchOneRun } from './run-actions.ts';

export const runsCommand = (): Command =>
  withExamples(
    new Command('run')
      .description('Look at runs of fleets, and take back who they are')
      .addCommand(lsCommand())
      .addCommand(showCommand())
      .addCommand(
        connectedCommand('watch')
          .description('Show how a run goes until it has ended, and end with its exit code')
          .argument('<run>', 'id of the run')
          .addOption(formatOption(['table', 'json']))
          .action(watchOneRun),
      )
      .addCommand(
        connectedCommand('revoke')
          .description(
            'Take back the identity of a run for good: its tokens are refused, its streams are cut, it is cancelled and never resumed',
          )
          .argument('<run>', 'id of the run')
          .addOption(formatOption(['table', 'json']))
          .action(revokeRun),
      ),
    [
      ['quarterdeck run watch RUN', 'live, with the exit code of the run'],
      ['quarterdeck run show RUN --agent read/reader/0 --transcript', 'what one agent and its model said'],
      ['quarterdeck run revoke RUN', 'somebody else may hold a token of it'],
    ],
  );
