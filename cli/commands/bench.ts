import { Command } from 'commander';
import { benchGatewayCommand } from './bench-gateway.ts';
import { benchReconcileCommand } from './bench-reconcile.ts';

export const benchCommand = (): Command =>
  new Command('bench')
    .description('Measure parts of the platform, each against a reference in the same run')
    .addCommand(benchGatewayCommand())
    .addCommand(benchReconcileCommand());
