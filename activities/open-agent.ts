import { Context } from '@temporalio/activity';
import { pendingCalls, type ToolDescription } from '../agents/conversation.ts';
import type { JsonObject } from '../agents/json.ts';
import { attemptOf } from '../agents/operation-ids.ts';
import { PlatformError } from '../schema/errors.ts';
import type { AgentRoleSpec } from '../schema/resources/agent-role.ts';
import { type Agent, beginAgent, getAgent, setTranscript } from '../store/agents.ts';
import { findResource } from '../store/resources.ts';
import type { Run } from '../store/runs.ts';
import { type AgentCollaborators, type AgentEnded, cancel, endOf, extend, park, runOf, tenancyOf } from './agent-context.ts';
import { withHeartbeat } from './failures.ts';
import { parkOnRefusal } from './park-on-refusal.ts';

/** Where an agent stands: `pendingCalls` of the model's last answer are still to be made before the model is asked again. */
export type AgentStep = { kind: 'step'; transcriptDigest: string; pendingCalls: number };

/** A run is launched with all that its roles need; one that lacks something was made by hand. */
const roleOf = ({ snapshot }: Run, agent: Agent) => {
  const role = snapshot.roles[agent.role];
  const model = role && snapshot.models[role.model];
  if (!role || !model) throw new PlatformError('resource_invalid', `The run has no role ${agent.role} with a model of its own.`);
  return { role, model };
};

/**
 * Lists the role's tools, as the gateway shows them to this agent.
 * @returns `problem` where the role must call what is not listed
 * @throws {PlatformError} `server_unavailable` while the toolset's servers have not been looked at: what is missing may still come
 */
const listRoleTools = async (
  { database, gateway }: Pick<AgentCollaborators, 'database' | 'gateway'>,
  agent: Agent,
  { toolset, requiredCalls }: AgentRoleSpec,
): Promise<{ tools: ToolDescription[]; problem: string | undefined }> => {
  if (toolset === undefined) return { tools: [], problem: undefined };
  const tools = await withHeartbeat((signal) => gateway.listTools({ agentId: agent.id, signal }, toolset));
  const absent = requiredCalls.find((name) => !tools.some((tool) => tool.name === name));
  if (tools.length > 0 && absent === undefined) return { tools, problem: undefined };
  const declared = await findResource(database, { ...tenancyOf(agent), kind: 'Toolset', name: toolset });
  const ready = declared?.status.conditions.find(({ type }) => type === 'Ready');
  const isSettled = !declared || (ready?.status === 'True' && ready.observedGeneration === declared.generation);
  // the condition and the gateway's own view of it may be a moment apart
  if (!isSettled || Context.current().info.attempt === 1)
    throw new PlatformError('server_unavailable', `The toolset ${toolset} does not list its tools yet.`);
  const isSearch = declared?.kind === 'Toolset' && declared.spec.expose === 'search';
  const whatToDo = isSearch ? 'it exposes `search`, so take a toolset that exposes all' : 'grant it by an AccessBinding';
  const problem = `The role ${agent.role} must call ${absent}, and the toolset ${toolset} does not list it to this agent; ${whatToDo}.`;
  return { tools, problem: absent === undefined ? undefined : problem };
};

/**
 * Begins an agent, or finds where it stands: after a kill and after a resume it goes on from its transcript. The tools are those the
 * gateway lists to this agent; a role that requires a call it was not granted is parked before it costs anything.
 */
export const createOpenAgent =
  ({ database, contents, transcripts, gateway }: AgentCollaborators) =>
  async ({ agentId }: { agentId: string }): Promise<AgentStep | AgentEnded> => {
    const known = await getAgent(database, agentId);
    const run = await runOf(database, known);
    if (endOf(known) === undefined && run.state !== 'running' && run.state !== 'starting') return cancel(database, agentId);
    const agent = await beginAgent(database, agentId);
    const ended = endOf(agent);
    if (ended) return ended;
    const tenancy = tenancyOf(agent);

    if (agent.transcriptDigest) {
      const transcriptDigest = agent.transcriptDigest;
      const transcript = await transcripts.load(tenancy, transcriptDigest);
      const opened = { transcript, transcriptDigest };
      const current =
        attemptOf(transcript) < run.attempt
          ? await extend({ database, transcripts }, agent, opened, [{ kind: 'resumed', attempt: run.attempt }])
          : opened;
      return { kind: 'step', transcriptDigest: current.transcriptDigest, pendingCalls: pendingCalls(current.transcript).length };
    }

    const { role, model } = roleOf(run, agent);
    const listed = await listRoleTools({ database, gateway }, agent, role).catch((error: unknown) =>
      parkOnRefusal(database, agentId, error, 'not_authorised'),
    );
    if ('kind' in listed) return listed;
    if (listed.problem !== undefined) return park(database, agentId, 'not_authorised', listed.problem);
    const transcriptDigest = await transcripts.begin(tenancy, {
      version: 1,
      attempt: run.attempt,
      instructions: role.instructions,
      input: (await contents.getJson(tenancy, agent.inputDigest)) as JsonObject,
      tools: listed.tools,
      requiredCalls: role.requiredCalls,
      output: role.output as JsonObject,
      model: {
        alias: role.model,
        decoding: model.decoding,
        contextTokens: model.contextTokens,
        maxOutputTokens: model.maxOutputTokens,
        ...(model.temperature === undefined ? {} : { temperature: model.temperature }),
      },
    });
    await setTranscript(database, agentId, transcriptDigest);
    return { kind: 'step', transcriptDigest, pendingCalls: 0 };
  };
