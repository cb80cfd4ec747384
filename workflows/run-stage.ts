import { CancellationScope, condition, continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { OpenedRun } from '../activities/open-run.ts';
import { agentsPerShard, type FleetWorkflowInput } from '../schema/workflow-contract.ts';
import { rowActivities } from './activity-options.ts';

/** How far the wait between two looks at the rows grows while nothing happens. */
const longestWait = 20;

/** The shards that were started and have not been heard of, by `stage/shard`; the fleet's signal handler takes out those that ended. */
export type StartedShards = Map<string, { stage: string; shard: number }>;

export const shardKey = (stage: string, shard: number): string => `${stage}/${shard}`;

/**
 * How many shards are at work at a time and how many agents each of them may run, so that all together keep the fleet's limit. Shards
 * are begun in their order, so a restarted fleet takes over exactly those that are at work.
 */
export const shareConcurrency = (concurrency: number, openShards: number): { slots: number; share: number } => {
  const slots = Math.max(1, Math.min(openShards, Math.ceil(concurrency / agentsPerShard)));
  return { slots, share: Math.max(1, Math.floor(concurrency / slots)) };
};

/**
 * Runs one stage until no agent of it is open. The rows say what is open; signals only wake the fleet early, and where one is lost the
 * rows are asked after a while. A shard that vanished is started again.
 * @returns whether the stage could be prepared
 */
export const runStage = async (
  input: FleetWorkflowInput,
  plan: Extract<OpenedRun, { kind: 'open' }>,
  stage: string,
  started: StartedShards,
): Promise<boolean> => {
  const { prepareStage, startShard, loadOpenShards } = rowActivities();
  const key = { run: { org: input.org, project: input.project, id: input.runId }, stage };
  const prepared = await prepareStage(key);
  if (prepared.kind === 'unprepared') return false;

  const { slots, share } = shareConcurrency(plan.concurrency, prepared.openShards.length);
  let open = prepared.openShards;
  let waits = 1;
  while (open.length > 0) {
    const atWork = open.slice(0, slots);
    for (const shard of atWork) {
      if (started.has(shardKey(stage, shard))) continue;
      started.set(shardKey(stage, shard), { stage, shard });
      // once begun, a start is finished, so that a cancellation finds the shard
      await CancellationScope.nonCancellable(() => startShard({ ...key, shard, concurrency: share }));
    }
    const heard = await condition(() => atWork.some((shard) => !started.has(shardKey(stage, shard))), plan.recheckMs * waits);
    waits = heard ? 1 : Math.min(waits * 2, longestWait);
    // nothing was heard: starting finds each shard that runs, and brings back one that does not
    if (!heard) for (const shard of atWork) started.delete(shardKey(stage, shard));
    open = await loadOpenShards(key);
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<(input: FleetWorkflowInput) => Promise<void>>(input);
  }
  return true;
};
