import { WorkflowNotFoundError } from '@temporalio/common';
import { actingFleet, fleetWorkflowId, parseAgentId, reconcileFleet, shardWorkflowId, type Tenancy } from '../../schema/ids.ts';
import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import { agentsPerShard } from '../../schema/workflow-contract.ts';
import { type Agent, findAgentWithRun, listAgents } from '../../store/agents.ts';
import { listOpenRuns, type Run } from '../../store/runs.ts';
import { digestOf } from './kubernetes-state.ts';
import { NothingSaid, type PlatformContext, type PlatformPart, platformObject, platformRef, symptom } from './platform-context.ts';

type Temporal = NonNullable<PlatformContext['temporal']>;

export const agentRef = ({ id, runId }: Pick<Agent, 'id' | 'runId'>) => platformRef('Agent', runId, id);
export const shardOfAgent = (run: Pick<Run, 'org' | 'project' | 'fleet' | 'id'>, { stage, ordinal }: Pick<Agent, 'stage' | 'ordinal'>) => {
  const fleet = fleetWorkflowId({ ...run, runId: run.id });
  const shard = Math.floor(ordinal / agentsPerShard);
  return { fleet, shard, workflowId: shardWorkflowId(fleet, stage, shard) };
};

/** Whether a workflow runs, by its exact id: what the visibility store says may be old. @returns the id of its run, or undefined */
export const runningRunOf = async (temporal: Temporal, workflowId: string): Promise<string | undefined> => {
  try {
    const { status, runId } = await temporal.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING' ? runId : undefined;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
};

const isOpen = ({ state }: Pick<Agent, 'state'>): boolean => state === 'pending' || state === 'running';

/**
 * Agents of open runs, and of those that should not be there. `AgentMissing`: its row is open, and no workflow will ever go on with it: that of
 * its fleet or shard is gone, or its own. `AgentOrphaned`: its workflow runs, and its row has ended or was never there.
 */
export const createPlatformRuns = (context: PlatformContext): PlatformPart => {
  const missingIn = async (temporal: Temporal, run: Run): Promise<{ agent: Agent; why: string }[]> => {
    const { database, patience, now } = context;
    const known = new Map<string, Promise<string | undefined>>();
    const runs = (id: string): Promise<string | undefined> => {
      const found = known.get(id) ?? runningRunOf(temporal, id);
      known.set(id, found);
      return found;
    };
    const missing: { agent: Agent; why: string }[] = [];
    for (const agent of (await listAgents(database, run)).filter(isOpen)) {
      if (now().getTime() - agent.updatedAt.getTime() < patience.agentMs) continue;
      const { fleet, workflowId } = shardOfAgent(run, agent);
      const why = !(await runs(fleet))
        ? 'the workflow of its run is gone'
        : !(await runs(workflowId))
          ? 'the workflow of its shard is gone'
          : // one that is pending waits for its turn in its shard
            agent.state === 'running' && agent.waitingSince === null && !(await runs(agent.id))
            ? 'its workflow is gone'
            : undefined;
      if (why) missing.push({ agent, why });
    }
    return missing;
  };

  const orphansIn = async (temporal: Temporal, place: Tenancy, signal: AbortSignal): Promise<{ id: string; why: string }[]> => {
    const prefix = `${place.org}/${place.project}/`;
    const query = `WorkflowType = 'agent' AND ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH '${prefix}'`;
    const orphans: { id: string; why: string }[] = [];
    // the list only says where to look
    for await (const { workflowId: id } of temporal.workflow.list({ query })) {
      signal.throwIfAborted();
      if (parseAgentId(id) === undefined) continue;
      const found = await findAgentWithRun(context.database, id);
      const endedAt = found?.agent.endedAt;
      if (found && (isOpen(found.agent) || (endedAt && context.now().getTime() - endedAt.getTime() < context.patience.agentMs))) continue;
      if (await runningRunOf(temporal, id)) orphans.push({ id, why: found ? `its row says ${found.agent.state}` : 'it has no row' });
    }
    return orphans;
  };

  return {
    see: async (place, signal): Promise<ObservedObject[]> => {
      const { temporal, database } = context;
      if (!temporal) throw new NothingSaid('this process reaches no Temporal server');
      const ours = (await listOpenRuns(database)).filter(
        ({ org, project, fleet, state }) =>
          org === place.org && project === place.project && state === 'running' && fleet !== reconcileFleet && fleet !== actingFleet,
      );
      const missing = (await Promise.all(ours.map((run) => missingIn(temporal, run)))).flat();
      const orphans = await orphansIn(temporal, place, signal);
      return [
        ...missing.map(({ agent, why }) =>
          platformObject(agentRef(agent), digestOf(agent.id), { state: agent.state, workflow: 'gone' }, [symptom('AgentMissing', why)]),
        ),
        ...orphans.map(({ id, why }) =>
          platformObject(platformRef('Agent', parseAgentId(id)?.runId ?? '', id), digestOf(id), { state: 'ended', workflow: 'running' }, [
            symptom('AgentOrphaned', why),
          ]),
        ),
      ];
    },
  };
};
