import { fleetWorkflowId, shardWorkflowId } from '../../../schema/ids.ts';
import type { RunProgress } from '../../../schema/run.ts';
import { pollUntil } from '../poll-until.ts';
import type { Crew } from './crew.ts';
import { type PlatformLane, refIn } from './platform-case.ts';

/** The model of a project's agents, whose words the case plays. */
export const agentModel = (project: string) => ({
  kind: 'Model',
  metadata: { name: 'agent' },
  spec: {
    routes: [{ provider: 'bench', model: `agent-${project}`, price: { inputMicroUsdPerMillion: 1, outputMicroUsdPerMillion: 1 } }],
    ...{ contextTokens: 128_000, maxOutputTokens: 2000, maxSecrecy: 3 },
  },
});

const answer = (properties: object) => ({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false });

/** A planner says what there is to do, and a worker for each of it does it. */
export const crew = (toolset = 'tools') => [
  {
    kind: 'AgentRole',
    metadata: { name: 'planner' },
    spec: {
      ...{ instructions: 'Say what there is to do.', model: 'agent' },
      output: answer({ items: { type: 'array', items: { type: 'string' } } }),
    },
  },
  {
    kind: 'AgentRole',
    metadata: { name: 'worker' },
    spec: { ...{ instructions: 'Do one thing.', model: 'agent', toolset }, output: answer({ done: { type: 'boolean' } }) },
  },
  {
    kind: 'AccessBinding',
    metadata: { name: 'crew' },
    spec: { subjects: [{ agentRole: 'planner' }, { agentRole: 'worker' }], models: ['agent'], toolsets: [toolset] },
  },
  {
    kind: 'Fleet',
    metadata: { name: 'crew' },
    spec: {
      concurrency: 10,
      stages: [
        { name: 'plan', role: 'planner' },
        { name: 'work', role: 'worker', forEach: 'stages.plan.output.items', input: { item: { from: 'item' } } },
      ],
    },
  },
];

export const isPlanner = (messages: readonly { content?: unknown }[]): boolean =>
  String(messages[0]?.content).includes('Say what there is');

/** Starts a run, and waits until so many workers are at work. */
export const launchCrew = async (lane: PlatformLane, workers: number): Promise<Crew> => {
  const { owner, project, later } = lane;
  const { id }: RunProgress = await owner.post('/runs', { fleet: 'crew' });
  later(() => owner.post(`/runs/${id}/cancel`, {}));
  const progress = (): Promise<RunProgress> => owner.get(`/runs/${id}`);
  const agents = await pollUntil(
    async () => {
      const atWork = (await progress()).agents.filter(({ stage, state }) => stage === 'work' && state === 'running');
      return atWork.length === workers ? atWork : undefined;
    },
    `${workers} agents at work`,
    60_000,
  );
  const fleet = fleetWorkflowId({ org: 'default', project, fleet: 'crew', runId: id });
  lane.crew = { id, agents, progress, fleet, shard: shardWorkflowId(fleet, 'work', 0) };
  return lane.crew;
};

export const crewOf = ({ crew, project }: PlatformLane): Crew => {
  if (!crew) throw new Error(`${project} has no run`);
  return crew;
};
export const agentRef = ({ id: run }: Crew, agent: string) => refIn('Agent', agent, run);

/** Whether the workflow of each worker runs, by its exact id. */
export const areAtWork = async ({ temporal }: PlatformLane, { agents }: Crew): Promise<boolean> => {
  const states = await Promise.all(
    agents.map(({ id }) =>
      temporal.workflow
        .getHandle(id)
        .describe()
        .then(
          ({ status }) => status.name,
          () => 'none',
        ),
    ),
  );
  return states.every((state) => state === 'RUNNING');
};

/** A model whose workers think until they may go on: `count` of them are planned. */
export const thinkingCrew = (lane: PlatformLane, count: number): void => {
  const gate = Promise.withResolvers<void>();
  lane.later(gate.resolve);
  lane.playAgents(async ({ messages }) => {
    if (isPlanner(messages)) return { answer: { items: Array.from({ length: count }, (_, index) => `thing ${index}`) } };
    await gate.promise;
    return { answer: { done: true } };
  });
};
