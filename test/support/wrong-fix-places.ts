import { type ClusterPlace, wrongClusterFixes } from '../../bench/reconcile/wrong-fixes/cluster-fixes.ts';
import { isSaid } from '../../bench/reconcile/wrong-fixes/listed-fix.ts';
import { type InstallationPlace, wrongPlatformFixes } from '../../bench/reconcile/wrong-fixes/platform-fixes.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';

/** Where the tests say the wrong fixes of the bench's table: a shop with a bank beside it. */
export const shopPlace: ClusterPlace = {
  ...{ namespace: 'shop', elsewhere: 'bank', container: 'web', repository: 'registry.example/shop/web', scaled: 'scaled', held: 'held' },
  custom: { apiVersion: 'v1', kind: 'McpServer', namespace: 'shop', name: 'old' },
};
export const installationPlace: InstallationPlace = {
  ...{
    server: 'files',
    toolset: 'desk',
    bundle: 'default',
    brokenBundle: 'broken',
    run: 'run_1',
    agent: 'well',
    stranger: 'more',
    storming: 'storming',
  },
};

export type SaidWrongFix = {
  fault: string;
  says: string;
  check: string;
  policy: 'refuse' | 'ask' | 'apply';
  target: 'kubernetes' | 'platform';
  operations: ProposableOperation[];
};

/** Every wrong fix that can be said, as operations there. */
export const saidWrongFixes: readonly SaidWrongFix[] = [
  ...wrongClusterFixes
    .filter(isSaid)
    .map(({ operations, ...fix }): SaidWrongFix => ({ ...fix, target: 'kubernetes', operations: operations(shopPlace) })),
  ...wrongPlatformFixes
    .filter(isSaid)
    .map(({ operations, ...fix }): SaidWrongFix => ({ ...fix, target: 'platform', operations: operations(installationPlace) })),
];
