import {
  ActivityFailure,
  CancellationScope,
  condition,
  defineSignal,
  getExternalWorkflowHandle,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { shardWorkflowId } from '../schema/ids.ts';
import { type FleetWorkflowInput, type ShardEnded, shardEndedSignal } from '../schema/workflow-contract.ts';
import { rowActivities } from './activity-options.ts';
import { codeOf } from './agent.ts';
import { runStage, type StartedShards, shardKey } from './run-stage.ts';

const longestGoodbye = '60 seconds';

/** Cancels the shards that were started, and waits until they said that their calls are aborted and their agents ended. */
const cancelShards = async (started: StartedShards): Promise<void> => {
  const { workflowId } = workflowInfo();
  for (const [key, { stage, shard }] of [...started]) {
    await getExternalWorkflowHandle(shardWorkflowId(workflowId, stage, shard))
      .cancel()
      .catch(() => started.delete(key)); // it has ended
  }
  await condition(() => started.size === 0, longestGoodbye);
};

/**
 * One run of a fleet: its stages one after the other, each of them in shards, then the verdict. It owns no agent, keeps nothing but
 * what the rows say too, and may therefore continue as new or be started again at any time.
 */
export async function fleet(input: FleetWorkflowInput): Promise<void> {
  const { openRun, finishRun, cancelRun } = rowActivities();
  const run = { org: input.org, project: input.project, id: input.runId };
  const started: StartedShards = new Map();
  setHandler(defineSignal<[ShardEnded]>(shardEndedSignal), ({ stage, shard }) => void started.delete(shardKey(stage, shard)));

  try {
    const plan = await openRun(run);
    if (plan.kind === 'open') for (const stage of plan.stages) if (!(await runStage(input, plan, stage, started))) break;
    await finishRun({ run });
  } catch (error) {
    if (isCancellation(error)) {
      await CancellationScope.nonCancellable(async () => {
        await cancelShards(started);
        await cancelRun(run);
      });
    } else if (error instanceof ActivityFailure) {
      await CancellationScope.nonCancellable(async () => {
        await cancelShards(started);
        await finishRun({ run, code: codeOf(error) });
      });
    }
    throw error;
  }
}
