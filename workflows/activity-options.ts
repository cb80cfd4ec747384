import { type ActivityOptions, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';
import type { ReconcileActivities } from '../activities/reconcile-activities.ts';
import { taskQueues } from '../schema/workflow-contract.ts';

/**
 * The task queue of a kind of work beside the workflow's own. Workflows run on `control`, or on `…control` where a pool of workers has
 * a prefix; its others stand beside it, such as `…model` and `…tool`.
 */
const queueFor = (kind: keyof typeof taskQueues): string => {
  const own = workflowInfo().taskQueue;
  return own.endsWith(taskQueues.control) ? own.slice(0, -taskQueues.control.length) + taskQueues[kind] : own;
};

const retry = { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s' } as const;

/** Short work on the database: an outage of hours delays a run, and ends none. */
const rows: ActivityOptions = { startToCloseTimeout: '1 minute', scheduleToCloseTimeout: '24 hours', retry };

/**
 * A call through the gateway. The heartbeat shows within seconds that a worker is gone, and carries a cancellation to the call, which
 * is aborted before the activity ends. The tries outlive a minute without the gateway, the store or a provider.
 */
const calls: ActivityOptions = {
  startToCloseTimeout: '10 minutes',
  scheduleToCloseTimeout: '10 minutes',
  heartbeatTimeout: '15 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { ...retry, maximumAttempts: 60 },
};

export const rowActivities = () =>
  proxyActivities<
    Pick<Activities, 'openRun' | 'prepareStage' | 'startShard' | 'loadOpenShards' | 'closeShard' | 'finishRun' | 'cancelRun' | 'parkAgent'>
  >({
    ...rows,
    taskQueue: queueFor('control'),
  });

export const openingActivities = () => proxyActivities<Pick<Activities, 'openAgent'>>({ ...calls, taskQueue: queueFor('control') });
export const modelActivities = () => proxyActivities<Pick<Activities, 'callModel'>>({ ...calls, taskQueue: queueFor('model') });
export const toolActivities = () => proxyActivities<Pick<Activities, 'callTool'>>({ ...calls, taskQueue: queueFor('tool') });

/** A diagnosis may take as long as its target allows, an hour at most, and goes on where it was after a kill. */
const diagnoses: ActivityOptions = { ...calls, startToCloseTimeout: '70 minutes', scheduleToCloseTimeout: '24 hours' };
export const diagnosisActivities = () =>
  proxyActivities<Pick<Activities, 'diagnoseFix'>>({ ...diagnoses, taskQueue: queueFor('diagnosis') });

/**
 * What looks at a target and changes it. Each can be made again: rows say what was done, and a write has one operation id. An outage of hours
 * delays it. `WAIT_CANCELLATION_COMPLETED`: a write is not left in its middle.
 */
const applies: ActivityOptions = {
  startToCloseTimeout: '10 minutes',
  scheduleToCloseTimeout: '24 hours',
  heartbeatTimeout: '15 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry,
};
export const targetActivities = () => proxyActivities<ReconcileActivities>({ ...applies, taskQueue: queueFor('apply') });
