import { CancellationScope, executeChild, getExternalWorkflowHandle, isCancellation, log, sleep } from '@temporalio/workflow';
import { type ShardEnded, type ShardWorkflowInput, shardEndedSignal } from '../schema/workflow-contract.ts';
import { rowActivities } from './activity-options.ts';
import { agent } from './agent.ts';

const startTries = 10;

/** Runs one agent as a child. Whatever becomes of it stands in its row; only a cancellation is passed on. */
const runAgent = async (agentId: string): Promise<void> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await executeChild(agent, { workflowId: agentId, args: [{ agentId }], workflowIdReusePolicy: 'ALLOW_DUPLICATE' });
      return;
    } catch (error) {
      if (isCancellation(error) && CancellationScope.current().consideredCancelled) throw error;
      // the agent of a shard that was ended by hand may still be ending
      const isEnding = error instanceof Error && error.name === 'WorkflowExecutionAlreadyStartedError' && attempt < startTries;
      if (!isEnding) {
        log.warn('the workflow of an agent did not end by itself', { agentId });
        return;
      }
      await sleep('3 seconds');
    }
  }
};

/**
 * Owns at most 100 agents of a stage as children, `concurrency` of them at work at a time, and tells the fleet when all have ended. It
 * never continues as new: children would not survive that.
 */
export async function shard(input: ShardWorkflowInput): Promise<void> {
  const { closeShard } = rowActivities();
  const waiting = [...input.agentIds];
  const work = async (): Promise<void> => {
    for (let agentId = waiting.shift(); agentId !== undefined; agentId = waiting.shift()) await runAgent(agentId);
  };
  const works = await Promise.allSettled(Array.from({ length: Math.min(input.concurrency, input.agentIds.length) }, work));
  const cancellation = works.find((settled) => settled.status === 'rejected');
  await CancellationScope.nonCancellable(async () => {
    await closeShard({ agentIds: input.agentIds, cancelled: cancellation !== undefined });
    const ended: ShardEnded = { stage: input.stage, shard: input.shard };
    await getExternalWorkflowHandle(input.fleetWorkflowId)
      .signal(shardEndedSignal, ended)
      .catch(() => log.info('the fleet is not there to be told', { stage: input.stage, shard: input.shard }));
  });
  if (cancellation !== undefined) throw cancellation.reason;
}
