import { setTimeout as delay } from 'node:timers/promises';
import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import { ResumeRunSchema } from '../../schema/run.ts';
import { type FleetWorkflowInput, type ShardWorkflowInput, workflowTypes } from '../../schema/workflow-contract.ts';
import { type Agent, endAgent, findAgentWithRun, listAgents, unparkAgents } from '../../store/agents.ts';
import { getRun } from '../../store/runs.ts';
import { type Deed, NothingSaid, type PlatformContext, PlatformRefusal, type PlatformTarget } from './platform-context.ts';
import { runningRunOf, shardOfAgent } from './platform-runs.ts';

const lookEveryMs = 250;

/** Starts, drains and suspends agents, each by its exact id: never by a prefix, and never two of one. */
export const createAgentDeeds = ({ database, temporal, queues, patience }: PlatformContext) => {
  const there = () => {
    if (!temporal) throw new NothingSaid('this process reaches no Temporal server');
    return temporal;
  };
  const begunNever = async (): Promise<boolean> => false;

  /** Brings back the workflow that should have started it: of the whole run, of its shard, or its own. Each is found where it runs. */
  const bringBack = async (agent: Agent): Promise<void> => {
    const { workflow } = there();
    const run = await getRun(database, { org: agent.org, project: agent.project, id: agent.runId });
    if (run.state !== 'running') throw new PlatformRefusal('precondition', `The run ${run.id} is ${run.state} by now.`);
    const { org, project, fleet, id: runId, attempt } = run;
    const { fleet: fleetWorkflow, shard, workflowId } = shardOfAgent(run, agent);
    const start = (type: string, id: string, input: object) =>
      workflow.start(type, {
        ...{ workflowId: id, taskQueue: queues.control, args: [input] },
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      });
    if (!(await runningRunOf(there(), fleetWorkflow))) {
      const input: FleetWorkflowInput = { org, project, fleet, runId, attempt };
      await start(workflowTypes.fleet, fleetWorkflow, input);
    } else if (!(await runningRunOf(there(), workflowId))) {
      const open = (await listAgents(database, { org, project, id: runId }, agent.stage)).filter(
        ({ ordinal, state }) =>
          shardOfAgent(run, { stage: agent.stage, ordinal }).shard === shard && ['pending', 'running'].includes(state),
      );
      const agentIds = open.sort((one, other) => one.ordinal - other.ordinal).map(({ id }) => id);
      const { concurrency } = run.snapshot.fleet;
      const place = { fleetWorkflowId: fleetWorkflow, org, project, runId, stage: agent.stage };
      const input: ShardWorkflowInput = { ...place, shard, agentIds, concurrency: Math.min(concurrency, agentIds.length) };
      await start(workflowTypes.shard, workflowId, input);
    } else await start(workflowTypes.agent, agent.id, { agentId: agent.id });
  };

  const find = async ({ org, project }: PlatformTarget, id: string): Promise<Agent | undefined> => {
    const agent = (await findAgentWithRun(database, id))?.agent;
    if (!id.startsWith(`${org}/${project}/`) || (agent && (agent.org !== org || agent.project !== project)))
      throw new PlatformRefusal('invalid', `${id} is no agent of ${org}/${project}.`);
    return agent;
  };
  const isOpen = (agent: Agent): boolean => agent.state === 'pending' || agent.state === 'running';

  /** A call under way gets its time to end after the cancellation, then the workflow is ended at once. */
  const cancel = async (id: string, signal: AbortSignal): Promise<'done' | 'unchanged'> => {
    const { workflow } = there();
    const runId = await runningRunOf(there(), id);
    if (!runId) return 'unchanged';
    await workflow.getHandle(id, runId).cancel();
    for (const untilMs = performance.now() + patience.drainMs; performance.now() < untilMs; await delay(lookEveryMs, undefined, { signal }))
      if ((await runningRunOf(there(), id)) !== runId) return 'done';
    await workflow.getHandle(id, runId).terminate('It did not end when it was cancelled, and nothing declares it.');
    return 'done';
  };

  return {
    start: async (target: PlatformTarget, { name: id }: ObjectRef): Promise<Deed> => {
      const agent = await find(target, id);
      if (!agent || !isOpen(agent)) throw new PlatformRefusal('precondition', `${id} has ended, so nothing is to be started.`);
      return {
        changes: [{ path: '/workflow', before: 'gone', after: 'running' }],
        // its id is the same however often it is started
        isBegun: async () => (await runningRunOf(there(), id)) !== undefined,
        run: async () => {
          if (await runningRunOf(there(), id)) return 'unchanged';
          await bringBack(agent);
          return 'done';
        },
      };
    },

    drain: async (target: PlatformTarget, { name: id }: ObjectRef): Promise<Deed> => {
      const agent = await find(target, id);
      if (agent && isOpen(agent)) throw new PlatformRefusal('precondition', `${id} is at work for its run, so it is not drained.`);
      return {
        changes: [{ path: '/workflow', before: 'running', after: 'cancelled' }],
        isBegun: async () => (await runningRunOf(there(), id)) === undefined,
        run: ({ signal }) => cancel(id, signal),
      };
    },

    /** Its tokens are refused from that moment on; its transcript and the audit stay as they are. */
    suspend: async (target: PlatformTarget, { name: id }: ObjectRef): Promise<Deed> => {
      const agent = await find(target, id);
      if (!agent) throw new PlatformRefusal('precondition', `There is no agent ${id}.`);
      return {
        changes: [{ path: '/state', before: agent.state, after: 'parked' }],
        isBegun: async (operationId) => agent.state === 'parked' && (agent.detail ?? '').includes(`(${operationId})`),
        run: async ({ operationId }) => {
          if (!isOpen(agent)) return 'unchanged';
          const detail = `The reconciler suspended it (${operationId}); a person resumes it, or not.`;
          await endAgent(database, id, { state: 'parked', reason: 'not_authorised', detail });
          return 'done';
        },
      };
    },

    /** Undoes a start. */
    remove: async (target: PlatformTarget, { name: id }: ObjectRef): Promise<Deed> => {
      await find(target, id);
      return { changes: [{ path: '/workflow', after: 'cancelled' }], isBegun: begunNever, run: ({ signal }) => cancel(id, signal) };
    },

    /** Undoes a suspension: it goes on from its transcript. */
    restore: async (target: PlatformTarget, { name: id }: ObjectRef): Promise<Deed> => {
      const agent = await find(target, id);
      if (!agent) throw new PlatformRefusal('precondition', `There is no agent ${id}.`);
      return {
        changes: isOpen(agent) ? [] : [{ path: '/state', before: agent.state, after: 'pending' }],
        isBegun: async () => isOpen(agent),
        run: async () => {
          if (isOpen(agent)) return 'unchanged';
          await unparkAgents(
            database,
            { org: agent.org, project: agent.project, id: agent.runId },
            ResumeRunSchema.parse({ agents: [id] }),
          );
          await bringBack({ ...agent, state: 'pending' });
          return 'done';
        },
      };
    },
  };
};
