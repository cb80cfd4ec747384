import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { RunActivities } from '../../activities/index.ts';
import { agentIdOf, fleetWorkflowId, shardWorkflowId } from '../../schema/ids.ts';
import type { AgentState, ParkReason } from '../../schema/run.ts';
import { agentsPerShard, workflowTypes } from '../../schema/workflow-contract.ts';

export type MemoryAgent = { id: string; stage: string; ordinal: number; state: AgentState; reason: ParkReason | null; steps: number };
type Step = Awaited<ReturnType<RunActivities['callModel']>>;
type Called = Awaited<ReturnType<RunActivities['callTool']>>;

/** Ends an agent from within a script of the model. */
export const ended = (state: AgentState, reason: ParkReason | null = null): Step => ({ kind: 'ended', state, reason });
export const failure = (type: string): ApplicationFailure => ApplicationFailure.create({ type, nonRetryable: true });

/**
 * The rows of one run in memory, with activities over them that keep the promises of the real ones. A test scripts what the model
 * does and looks at what was at work at a time.
 */
export const memoryRows = (stages: Record<string, number>, options: { runId: string; concurrency?: number; recheckMs?: number }) => {
  const tenancy = { org: 'default', project: 'default' };
  const fleetId = fleetWorkflowId({ ...tenancy, fleet: 'memory', runId: options.runId });
  const rows = new Map<string, MemoryAgent>();
  const seen = {
    atWork: 0,
    most: 0,
    models: [] as string[],
    tools: [] as string[],
    verdicts: [] as string[],
    parks: [] as unknown[],
    aborted: 0,
  };
  const script = {
    tellFleet: fleetId,
    onModel: async (_agent: MemoryAgent): Promise<Step> => ended('done'),
    /** What a call of a tool comes to instead of its result. */
    onTool: async (_agent: MemoryAgent): Promise<Called | undefined> => undefined,
  };
  const rowOf = (agentId: string): MemoryAgent => {
    const row = rows.get(agentId);
    if (!row) throw new Error(`no row for ${agentId}`);
    return row;
  };
  const openIn = (stage: string): MemoryAgent[] =>
    [...rows.values()].filter((row) => row.stage === stage && (row.state === 'pending' || row.state === 'running'));
  const shardOf = ({ ordinal }: MemoryAgent): number => Math.floor(ordinal / agentsPerShard);
  const openShards = (stage: string): number[] => [...new Set(openIn(stage).map(shardOf))].sort((a, b) => a - b);
  const end = (row: MemoryAgent, state: AgentState, reason: ParkReason | null = null): void => {
    if (row.state === 'pending' || row.state === 'running') Object.assign(row, { state, reason });
  };

  const activities = (workflows: Client['workflow']): RunActivities => ({
    openRun: async () => ({
      kind: 'open',
      stages: Object.keys(stages),
      concurrency: options.concurrency ?? 4,
      recheckMs: options.recheckMs ?? 60_000,
    }),
    prepareStage: async ({ stage }) => {
      for (let ordinal = 0; ordinal < (stages[stage] ?? 0); ordinal += 1) {
        const id = agentIdOf({ ...tenancy, fleet: 'memory', runId: options.runId, stage, role: 'role', ordinal });
        if (!rows.has(id)) rows.set(id, { id, stage, ordinal, state: 'pending', reason: null, steps: 0 });
      }
      return { kind: 'ready', openShards: openShards(stage) };
    },
    startShard: async ({ stage, shard, concurrency }) => {
      const agentIds = openIn(stage)
        .filter((row) => shardOf(row) === shard)
        .map(({ id }) => id);
      if (agentIds.length === 0) return;
      const input = { fleetWorkflowId: script.tellFleet, ...tenancy, runId: options.runId, stage, shard, agentIds, concurrency };
      await workflows.start(workflowTypes.shard, {
        workflowId: shardWorkflowId(fleetId, stage, shard),
        taskQueue: Context.current().info.taskQueue,
        workflowIdConflictPolicy: 'USE_EXISTING',
        args: [input],
      });
    },
    loadOpenShards: async ({ stage }) => openShards(stage),
    closeShard: async ({ agentIds, cancelled }) => {
      for (const id of agentIds) end(rowOf(id), cancelled ? 'cancelled' : 'parked', cancelled ? null : 'model_failed');
    },
    finishRun: async ({ code }) => {
      seen.verdicts.push(code === undefined ? 'finished' : `gave up: ${code}`);
      return 'succeeded';
    },
    cancelRun: async () => {
      for (const row of rows.values()) end(row, 'cancelled');
      seen.verdicts.push('cancelled');
    },
    openAgent: async ({ agentId }) => {
      const row = rowOf(agentId);
      if (row.state !== 'pending' && row.state !== 'running') return { kind: 'ended', state: row.state, reason: row.reason };
      row.state = 'running';
      return { kind: 'step', transcriptDigest: `digest-${row.steps}`, pendingCalls: 0 };
    },
    callModel: async ({ agentId }) => {
      const row = rowOf(agentId);
      row.steps += 1;
      seen.models.push(agentId);
      seen.atWork += 1;
      seen.most = Math.max(seen.most, seen.atWork);
      try {
        const step = await script.onModel(row);
        if (step.kind === 'ended') end(row, step.state, step.reason);
        return step;
      } finally {
        seen.atWork -= 1;
      }
    },
    callTool: async ({ agentId, transcriptDigest }) => {
      seen.tools.push(`${agentId.split('/').at(-1)} ${transcriptDigest}`);
      const instead = await script.onTool(rowOf(agentId));
      if (instead) return instead;
      const left = Number(transcriptDigest.split('-').at(-1)) - 1;
      return { kind: 'step', transcriptDigest: `left-${left}`, pendingCalls: left };
    },
    parkAgent: async ({ agentId, reason, code }) => {
      seen.parks.push({ reason, code });
      end(rowOf(agentId), 'parked', reason);
      return { kind: 'ended', state: 'parked', reason };
    },
  });

  /** Waits for a cancellation, as a call in flight does, and counts its end. */
  const hang = async (): Promise<never> => {
    const context = Context.current();
    const timer = setInterval(() => context.heartbeat(), 100);
    try {
      return await context.cancelled;
    } finally {
      clearInterval(timer);
      seen.aborted += 1;
    }
  };

  return { ...tenancy, fleetId, rows, seen, script, activities, hang, statesOf: () => [...rows.values()].map(({ state }) => state) };
};
export type MemoryRows = ReturnType<typeof memoryRows>;
