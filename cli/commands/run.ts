import { Command } from 'commander';
import { connectedCommand } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { formatOption } from '../output/format-option.ts';
import { lsCommand, showCommand } from './fleet.ts';
import { releaseLabels } from './release-labels.ts';
import { revokeRun, watchOneRun } from './run-actions.ts';

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

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
      )
      .addCommand(
        connectedCommand('release')
          .description('Say that what a run has read may be told to anybody; it is on record, with your reason')
          .argument('<run>', 'id of the run, or the client of a person that a refusal names: login:… or token:…')
          .requiredOption('--reason <text>', 'why that may be')
          .option('--agent <agent>', 'what this one read alone: STAGE/ROLE/ORDINAL; may be repeated', collect)
          .addOption(formatOption(['table', 'json']))
          .action(releaseLabels),
      ),
    [
      ['quarterdeck run watch RUN', 'live, with the exit code of the run'],
      ['quarterdeck run show RUN --agent read/reader/0 --transcript', 'what one agent and its model said'],
      ['quarterdeck run revoke RUN', 'somebody else may hold a token of it'],
      ['quarterdeck run release RUN --reason "the contract is public since May"', 'what its agents read may leave the house'],
    ],
  );
