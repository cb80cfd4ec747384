import { Command } from 'commander';
import { withExamples } from '../output/command-help.ts';
import { backtestCommand } from './policy-backtest.ts';
import { explainCommand } from './policy-explain.ts';
import { suggestCommand } from './policy-suggest.ts';

export const policyCommand = (): Command =>
  withExamples(
    new Command('policy')
      .description('Explain decisions of the policies, and try policies on recorded calls')
      .addCommand(explainCommand())
      .addCommand(backtestCommand())
      .addCommand(suggestCommand()),
    [
      ['quarterdeck policy explain dec_k2J9…', 'why something was refused'],
      ['quarterdeck policy backtest policy.yaml --since 7d', 'what a change would have decided otherwise'],
      ['quarterdeck policy suggest reader --since 30d', 'the least that a role needed'],
    ],
  );
