import type { TargetPort } from '../../reconcile/target-port.ts';
import { taskQueues } from '../../schema/workflow-contract.ts';
import { createPlatformApply } from './platform-apply.ts';
import { type PlatformContext, type PlatformPatience, realPatience } from './platform-context.ts';
import { createPlatformObserve, createPlatformParts } from './platform-observe.ts';

export type PlatformTargetOptions = Pick<PlatformContext, 'database' | 'temporal' | 'verifyPolicies'> & {
  now?: () => Date;
  patience?: Partial<PlatformPatience>;
  queues?: PlatformContext['queues'];
};

/**
 * This installation itself: what each of its processes has in its memory, in Postgres and in Temporal, against what is declared. What the
 * platform mends by itself is given the time for it. No part of it tells of each change, so it is looked at in its interval.
 */
export const createPlatformTarget = ({
  now = () => new Date(),
  patience = {},
  queues = taskQueues,
  ...options
}: PlatformTargetOptions): TargetPort<'platform'> => {
  const context: PlatformContext = { ...options, now, queues, patience: { ...realPatience, ...patience } };
  const parts = createPlatformParts(context);
  return {
    type: 'platform',
    ...createPlatformObserve({ parts, now }),
    watch: () => undefined,
    ...createPlatformApply(context, parts),
  };
};
