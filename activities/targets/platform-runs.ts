import { WorkflowNotFoundError } from '@temporalio/common';
import { actingFleet, fleetWorkflowId, parseAgentId, reconcileFleet, shardWorkflowId, type Tenancy } from '../../schema/ids.ts';
import type { ObservedObject, Symptom } from '../../schema/reconcile/observation.ts';
import { agentsPerShard } from '../../schema/workflow-contract.ts';
import { type Agent, findAgentWithRun, listAgents } from '../../store/agents.ts';
import { countRefusedWaysOut } from '../../store/odd-egress.ts';
import { listReports } from '../../store/process-reports.ts';
import { listRateHolds } from '../../store/rate-holds.ts';
import { listOpenRuns, type Run } from '../../store/runs.ts';
import { digestOf } from './kubernetes-state.ts';
import {
  answerWithinMs,
  NothingSaid,
  type PlatformContext,
  type PlatformPart,
  platformObject,
  platformRef,
  symptom,
} from './platform-context.ts';
import { stormSymptom, stormsIn } from './platform-storms.ts';

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

/** An agent that is refused a way out so often within so long for what it has read is taken for one that obeys what it read. */
const mostRefusals = 3;
const refusalsWithinMs = 10 * 60_000;

const isOpen = ({ state }: Pick<Agent, 'state'>): boolean => state === 'pending' || state === 'running';

/**
 * Agents of open runs that are not well, and those that should not be there. `AgentMissing`: its row is open, and no workflow will ever go on with it: that of
 * its fleet or shard is gone, or its own. `AgentOrphaned`: its workflow runs, and its row has ended or was never there. `OddEgress`:
 * it tries again and again to let out what it may not, as a tool's answer told it to. `CallerStorm`: it makes most of the calls that a
 * server refuses because it is asked too often. One that is held to fewer calls is always among them, so that it is seen to be.
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

  const stormingIn = async (place: Tenancy): Promise<{ agent: Agent; symptoms: Symptom[] }[]> => {
    const reports = (await listReports(context.database)).flatMap(({ report, isLive }) =>
      isLive && report.process === 'gateway' ? [report] : [],
    );
    const found = stormsIn(reports, place).map(async (storm) => {
      const row = storm.agent && (await findAgentWithRun(context.database, storm.agent.id));
      return row && isOpen(row.agent) ? [{ agent: row.agent, symptoms: [await stormSymptom(context, place, storm)] }] : [];
    });
    return (await Promise.all(found)).flat();
  };

  const heldIn = async (place: Tenancy): Promise<{ agent: Agent; callsPerMinute: number }[]> => {
    const holds = (await listRateHolds(context.database, place)).filter(({ kind }) => kind === 'Agent');
    const found = holds.map(async ({ name, callsPerMinute }) => {
      const row = await findAgentWithRun(context.database, name);
      return row && isOpen(row.agent) ? [{ agent: row.agent, callsPerMinute }] : [];
    });
    return (await Promise.all(found)).flat();
  };

  const oddIn = async (place: Tenancy): Promise<{ agent: Agent; refusals: number }[]> => {
    const since = new Date(context.now().getTime() - refusalsWithinMs);
    const counted = await countRefusedWaysOut(context.database, place, { since, least: mostRefusals });
    const found = await Promise.all(
      counted.map(async ({ agent, refusals }) => ({ found: await findAgentWithRun(context.database, agent), refusals })),
    );
    return found.flatMap(({ found: row, refusals }) => (row && isOpen(row.agent) ? [{ agent: row.agent, refusals }] : []));
  };

  return {
    see: async (place, signal): Promise<ObservedObject[]> => {
      const { temporal, database } = context;
      if (!temporal) throw new NothingSaid('this process reaches no Temporal server');
      const ours = (await listOpenRuns(database)).filter(
        ({ org, project, fleet, state }) =>
          org === place.org && project === place.project && state === 'running' && fleet !== reconcileFleet && fleet !== actingFleet,
      );
      // requests without a deadline would pile up at a server that hangs, look by look
      const { missing, orphans } = await temporal.withDeadline(Date.now() + answerWithinMs, async () => ({
        missing: (await Promise.all(ours.map((run) => missingIn(temporal, run)))).flat(),
        orphans: await orphansIn(temporal, place, signal),
      }));
      const lost = new Set(missing.map(({ agent }) => agent.id));
      const held = await heldIn(place);
      const atWork = new Map<string, { agent: Agent; symptoms: Symptom[] }>();
      const add = (agent: Agent, symptoms: readonly Symptom[]): void => {
        if (lost.has(agent.id)) return;
        const known = atWork.get(agent.id) ?? { agent, symptoms: [] };
        known.symptoms.push(...symptoms);
        atWork.set(agent.id, known);
      };
      for (const { agent, refusals } of await oddIn(place))
        add(agent, [symptom('OddEgress', `It was refused a way out ${refusals} times for what it has read.`, refusals)]);
      for (const { agent, symptoms } of await stormingIn(place)) add(agent, symptoms);
      for (const { agent } of held) add(agent, []);
      const stateOf = ({ id, state }: Agent): ObservedObject['state'] => {
        const found = held.find(({ agent }) => agent.id === id);
        return { state, workflow: 'running', ...(found ? { callsPerMinute: found.callsPerMinute } : {}) };
      };
      return [
        ...missing.map(({ agent, why }) =>
          platformObject(agentRef(agent), digestOf(agent.id), { state: agent.state, workflow: 'gone' }, [symptom('AgentMissing', why)]),
        ),
        ...[...atWork.values()].map(({ agent, symptoms }) => platformObject(agentRef(agent), digestOf(agent.id), stateOf(agent), symptoms)),
        ...orphans.map(({ id, why }) =>
          platformObject(platformRef('Agent', parseAgentId(id)?.runId ?? '', id), digestOf(id), { state: 'ended', workflow: 'running' }, [
            symptom('AgentOrphaned', why),
          ]),
        ),
      ];
    },
  };
};
