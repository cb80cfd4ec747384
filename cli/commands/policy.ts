import { Command } from 'commander';
import { withExamples } from '../output/command-help.ts';
import { backtestCommand } from './policy-backtest.ts';
import { explainCommand } from './policy-explain.ts';
import { publishCommand } from './policy-publish.ts';
import { suggestCommand } from './policy-suggest.ts';
import { testCommand, validateCommand } from './policy-validate.ts';

export const policyCommand = (): Command =>
  withExamples(
    new Command('policy')
      .description('Explain decisions; validate, test, try and publish policies')
      .addCommand(explainCommand())
      .addCommand(validateCommand())
      .addCommand(testCommand())
      .addCommand(backtestCommand())
      .addCommand(suggestCommand())
      .addCommand(publishCommand()),
    [
      ['quarterdeck policy explain dec_k2J9…', 'why something was refused'],
      ['quarterdeck policy backtest policy.yaml --since 7d', 'what a change would have decided otherwise'],
      ['quarterdeck policy suggest reader --since 30d', 'the least that a role needed'],
      ['quarterdeck policy publish policy.yaml', 'put it into force, tried and signed'],
    ],
  );
