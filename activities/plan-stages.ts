import { basename } from 'node:path';
import { type Json, type JsonObject, leavesOf } from '../agents/json.ts';
import { stageValues } from '../agents/judge-run.ts';
import { looksLikePath } from '../agents/path-names.ts';
import { type AgentTask, resolveStage, type StageContext } from '../agents/resolve-stage.ts';
import type { FleetSpec, Stage } from '../schema/resources/fleet.ts';
import { type Agent, listAgents } from '../store/agents.ts';
import type { ContentStore } from '../store/contents.ts';
import type { Database } from '../store/database.ts';
import type { Run } from '../store/runs.ts';
import { renderTemplate } from './render-template.ts';
import { watchNames } from './watch-names.ts';

/** One agent that a stage should have; `agent` is its row, once there is one. */
export type PlannedAgent = AgentTask & { inputDigest: string; assignedPaths: string[]; agent: Agent | undefined };
/**
 * `superseded` are rows of earlier inputs: a resumed run may hand a stage other inputs than before. `looked` are the names that the inputs of its
 * agents were made out of, `outputs` what those of them answered that are done.
 */
export type PlannedStage = { stage: Stage; agents: PlannedAgent[]; superseded: Agent[]; looked: ReadonlySet<string>; outputs: unknown[] };
/** The stages as far as they can be worked out; `problem` says in words why the next one cannot. */
export type StagePlan = { stages: PlannedStage[]; problem: string | undefined };

/** Agents of one run, where its fleet says nothing else. */
const usualMostAgents = 1000;

/** Expressions see a folder by its name alone: where it lies on the host is nobody's business in an agent's prompt. */
const inputsOf = (fleet: FleetSpec, given: Record<string, string>): JsonObject =>
  Object.fromEntries(
    fleet.inputs.flatMap(({ name, type, default: usual }): [string, Json][] => {
      const value = given[name] ?? usual;
      return value === undefined ? [] : [[name, type === 'folder' ? basename(value) : value]];
    }),
  );

/** Absolute paths among an agent's own input. */
const pathsIn = (input: JsonObject): string[] => [
  ...new Set(
    leavesOf(input).flatMap(({ value }) => (typeof value === 'string' && value.startsWith('/') && looksLikePath(value) ? [value] : [])),
  ),
];

/** Gives each task the row that was made for the same input, each row once, lower ordinals first. */
const matchRows = (tasks: Omit<PlannedAgent, 'agent'>[], rows: Agent[]): { agents: PlannedAgent[]; superseded: Agent[] } => {
  const free = [...rows].sort((a, b) => a.ordinal - b.ordinal);
  const agents = tasks.map((task): PlannedAgent => {
    const at = free.findIndex((row) => row.inputDigest === task.inputDigest);
    return { ...task, agent: at === -1 ? undefined : free.splice(at, 1)[0] };
  });
  return { agents, superseded: free };
};

/** Reads what an agent that is done answered. */
const outputOf = async (contents: ContentStore, run: Run, agent: Agent | undefined): Promise<unknown> =>
  agent?.state === 'done' && agent.outputDigest ? contents.getJson(run, agent.outputDigest) : undefined;

/**
 * Works out which agents each stage of a run should have, from the run's inputs and the answers so far. The same rows give the same
 * plan, so it can be made again at any time instead of being kept.
 * @param upTo - name of the last stage that matters; all of them without it
 */
export const planStages = async (
  { database, contents }: { database: Database; contents: ContentStore },
  run: Run,
  upTo?: string,
): Promise<StagePlan> => {
  const { fleet } = run.snapshot;
  const rows = await listAgents(database, run);
  const given = (await contents.getJson(run, run.inputsDigest)) as Record<string, string>;
  const context: StageContext = {
    inputs: inputsOf(fleet, given),
    run: { id: run.id, fleet: run.fleet, quality: run.quality },
    stages: {},
  };
  const stages: PlannedStage[] = [];
  for (const stage of fleet.stages) {
    const looked = new Set<string>();
    const resolved = resolveStage(stage, { ...context, ...watchNames(context, looked) }, renderTemplate);
    if (!resolved.ok) return { stages, problem: `stage ${stage.name}: ${resolved.problem}` };
    // what an agent answered may be what makes the next ones, so how many there may be is not its to say
    const agents = stages.reduce((sum, { agents: planned }) => sum + planned.length, resolved.value.length);
    const mostAgents = fleet.limits?.agents ?? usualMostAgents;
    if (agents > mostAgents)
      return {
        stages,
        problem: `stage ${stage.name}: the run would have ${agents} agents, and the fleet allows ${mostAgents} (\`limits.agents\`)`,
      };
    const tasks = await Promise.all(
      resolved.value.map(async (task) => ({
        ...task,
        inputDigest: await contents.putJson(run, task.input, 'agent-input'),
        assignedPaths: pathsIn(task.input),
      })),
    );
    const matched = matchRows(
      tasks,
      rows.filter((row) => row.stage === stage.name),
    );
    const planned: PlannedStage = { stage, ...matched, looked, outputs: [] };
    stages.push(planned);
    if (stage.name === upTo) break;
    const members = await Promise.all(
      matched.agents.map(async ({ agent, item }) => ({ state: agent?.state, item, output: await outputOf(contents, run, agent) })),
    );
    const values = stageValues(members);
    planned.outputs = values.outputs;
    context.stages[stage.name] = values as JsonObject;
  }
  return { stages, problem: undefined };
};
