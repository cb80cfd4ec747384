import { type AgentProgress, type RunProgress, RunProgressSchema } from '../../schema/run.ts';
import { haltLifted } from '../../schema/workflow-contract.ts';
import type { Agent } from '../../store/agents.ts';
import type { Run } from '../../store/runs.ts';

/** A run in a list: without its stages, agents and totals. */
export const RunSummarySchema = RunProgressSchema.omit({ stages: true, agents: true, totals: true });
export type RunSummary = Omit<RunProgress, 'stages' | 'agents' | 'totals'>;

export const summaryOf = (run: Run): RunSummary => ({
  id: run.id,
  org: run.org,
  project: run.project,
  fleet: run.fleet,
  state: run.state,
  reason: run.reason,
  startedBy: run.startedBy,
  createdAt: run.createdAt.toISOString(),
  endedAt: run.endedAt?.toISOString() ?? null,
  revokedAt: run.revokedAt?.toISOString() ?? null,
  quality: run.quality,
  result: run.result,
  outputDirectory: run.outputDirectory,
});

const agentOf = (agent: Agent): AgentProgress => {
  const { id, stage, role, ordinal, state, reason, detail, steps, calls, refusals, inputTokens, outputTokens, costMicroUsd } = agent;
  // no approval, and yet it waits: until what is halted is lifted
  const waitsFor = agent.approvalId ?? (agent.waitingSince === null || agent.state !== 'running' ? null : haltLifted);
  return { id, stage, role, ordinal, state, reason, detail, steps, calls, refusals, inputTokens, outputTokens, costMicroUsd, waitsFor };
};

/** What is known of a run at this moment: its stages as the fleet declared them at the start, and the rows of its agents. */
export const progressOf = (run: Run, agents: Agent[]): RunProgress => {
  const sum = (field: 'calls' | 'refusals' | 'inputTokens' | 'outputTokens' | 'costMicroUsd') =>
    agents.reduce((total, agent) => total + agent[field], 0);
  return {
    ...summaryOf(run),
    stages: run.snapshot.fleet.stages.map(({ name, role }) => {
      const counts = { agents: 0, pending: 0, running: 0, done: 0, parked: 0, failed: 0, cancelled: 0 };
      for (const { stage, state } of agents) {
        if (stage !== name) continue;
        counts.agents += 1;
        counts[state] += 1;
      }
      return { name, role, ...counts };
    }),
    agents: agents.map(agentOf),
    totals: {
      calls: sum('calls'),
      refusals: sum('refusals'),
      inputTokens: sum('inputTokens'),
      outputTokens: sum('outputTokens'),
      costMicroUsd: sum('costMicroUsd'),
    },
  };
};
