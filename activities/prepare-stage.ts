import { agentIdOf } from '../schema/ids.ts';
import { agentsPerShard } from '../schema/workflow-contract.ts';
import { endAgent, insertAgents, listAgents, type NewAgent } from '../store/agents.ts';
import type { ContentStore } from '../store/contents.ts';
import type { Database } from '../store/database.ts';
import { agentSubject, beginLabels } from '../store/flow-labels.ts';
import { getRun, type RunKey } from '../store/runs.ts';
import { labelOfStage } from './label-stage.ts';
import { planStages } from './plan-stages.ts';

/** A stage of a run, by name. */
export type StageKey = { run: RunKey; stage: string };
/** `unprepared`: an expression does not resolve; the run's end says which. */
export type PreparedStage = { kind: 'ready'; openShards: number[] } | { kind: 'unprepared' };

export const shardOf = (ordinal: number): number => Math.floor(ordinal / agentsPerShard);

/** The numbers of the shards of a stage that have agents at work or yet to begin; the rows are the truth. */
export const openShardsOf = async (database: Database, { run, stage }: StageKey): Promise<number[]> => {
  const rows = await listAgents(database, run, stage);
  const open = rows.filter(({ state }) => state === 'pending' || state === 'running');
  return [...new Set(open.map(({ ordinal }) => shardOf(ordinal)))].sort((a, b) => a - b);
};

/**
 * Writes the rows of a stage's agents before any of them is started. Done again, after a kill or a resume, it finds the rows of the same
 * inputs and adds those of new ones under the next ordinals; agents of inputs that are no longer wanted are cancelled.
 */
export const createPrepareStage =
  ({ database, contents }: { database: Database; contents: ContentStore }) =>
  async ({ run: key, stage }: StageKey): Promise<PreparedStage> => {
    const run = await getRun(database, key);
    const plan = await planStages({ database, contents }, run, stage);
    const planned = plan.stages.find((candidate) => candidate.stage.name === stage);
    const role = planned && run.snapshot.roles[planned.stage.role];
    if (!planned || !role) return { kind: 'unprepared' };

    for (const { id } of planned.superseded) await endAgent(database, id, { state: 'cancelled' });
    const taken = [...planned.superseded, ...planned.agents.flatMap(({ agent }) => agent ?? [])];
    let ordinal = Math.max(-1, ...taken.map((agent) => agent.ordinal));
    const { org, project } = run;
    const rows = planned.agents.flatMap(({ agent, inputDigest, assignedPaths }): NewAgent[] => {
      if (agent) return [];
      ordinal += 1;
      const address = { org, project, fleet: run.fleet, runId: run.id, stage, role: planned.stage.role, ordinal };
      const { runId } = address;
      return [
        {
          id: agentIdOf(address),
          org,
          project,
          runId,
          stage,
          role: address.role,
          ordinal,
          inputDigest,
          assignedPaths,
          limits: role.limits,
        },
      ];
    });
    // before there is anybody who could ask for a token
    const label = await labelOfStage(database, run, plan, stage);
    await beginLabels(
      database,
      run,
      rows.map(({ id }) => agentSubject(id)),
      label,
    );
    await insertAgents(database, rows);
    return { kind: 'ready', openShards: await openShardsOf(database, { run: key, stage }) };
  };
