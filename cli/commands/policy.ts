import { Command } from 'commander';
import { withExamples } from '../output/command-help.ts';
import { explainCommand } from './policy-explain.ts';

export const policyCommand = (): Command =>
  withExamples(
    new Command('policy').description('Explain decisions of the policies, and try policies on recorded calls').addCommand(explainCommand()),
    [['quarterdeck policy explain dec_k2J9…', 'why something was refused']],
  );
