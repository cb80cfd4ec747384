import { Context } from '@temporalio/activity';
import type { WorkflowClient } from '@temporalio/client';
import { fleetWorkflowId, shardWorkflowId } from '../schema/ids.ts';
import { type ShardWorkflowInput, workflowTypes } from '../schema/workflow-contract.ts';
import { listAgents } from '../store/agents.ts';
import type { Database } from '../store/database.ts';
import { getRun } from '../store/runs.ts';
import { type StageKey, shardOf } from './prepare-stage.ts';

/**
 * Starts the shard workflow of up to 100 agents that are not at their end, or finds it running. Shards are independent of the fleet's
 * workflow, which may continue as new, and run on the same task queue.
 */
export const createStartShard =
  ({ database, workflows }: { database: Database; workflows: WorkflowClient }) =>
  async ({ run: key, stage, shard, concurrency }: StageKey & { shard: number; concurrency: number }): Promise<void> => {
    const { fleet, state } = await getRun(database, key);
    if (state !== 'running') return;
    const rows = await listAgents(database, key, stage);
    const open = rows.filter(({ ordinal, state }) => shardOf(ordinal) === shard && (state === 'pending' || state === 'running'));
    if (open.length === 0) return;
    const { org, project, id: runId } = key;
    const fleetId = fleetWorkflowId({ org, project, fleet, runId });
    const agentIds = open.sort((a, b) => a.ordinal - b.ordinal).map(({ id }) => id);
    const input: ShardWorkflowInput = { fleetWorkflowId: fleetId, org, project, runId, stage, shard, agentIds, concurrency };
    await workflows.start(workflowTypes.shard, {
      workflowId: shardWorkflowId(fleetId, stage, shard),
      taskQueue: Context.current().info.taskQueue,
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [input],
    });
  };
