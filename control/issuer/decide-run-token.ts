import { runTokenLifetimeSeconds } from '../../schema/access-token.ts';
import { subjectOfAgent } from '../../schema/machine-person.ts';
import type { AgentForToken, RunTokenScope } from './agent-directory.ts';
import type { Worker } from './worker.ts';

export type RunTokenRequest = {
  agentId: string;
  /** The audience asked for, RFC 8707. */
  resource: string;
  /** Space-separated, as received; absent asks for what the audience has. */
  scope?: string | undefined;
};

/** What the token will say; `claims` are those beside the registered ones. */
export type RunTokenGrant = {
  subject: string;
  audience: string;
  scope: RunTokenScope;
  issuedAtSeconds: number;
  expiresAtSeconds: number;
  claims: { act: { sub: string }; org: string; project: string; fleet: string; run: string; role: string };
};

export type RunTokenRefusal =
  | 'agent_unknown'
  | 'halted'
  | 'launch_not_authorised'
  | 'run_not_running'
  | 'run_revoked'
  | 'agent_not_running'
  | 'run_time_over'
  | 'tier_mismatch'
  | 'not_of_this_worker'
  | 'audience_not_own'
  | 'scope_not_own'
  | 'scope_not_of_person';

export type RunTokenDecision = { ok: true; grant: RunTokenGrant } | { ok: false; reason: RunTokenRefusal };

const defaultTier = 'default';

/**
 * The audiences an agent may have, with the scope of each: the canonical URL of its own toolset and the model endpoint.
 * The short `/mcp/{toolset}` and the bare `/mcp` name the same server to people, not to tokens: an audience has one spelling.
 */
export const audiencesOf = (agent: AgentForToken, resourceBase: string): ReadonlyMap<string, RunTokenScope> => {
  const toolsetPath = [agent.org, agent.project, agent.toolset].map(encodeURIComponent).join('/');
  return new Map([
    [`${resourceBase}/mcp/${toolsetPath}`, 'mcp'],
    [`${resourceBase}/v1`, 'models'],
  ]);
};

/** Whether an agent is one that a worker may ask for. */
const isWithin = (limits: Worker['limits'], agent: AgentForToken): boolean =>
  (['org', 'project', 'fleet', 'role'] as const).every((part) => limits[part] === undefined || limits[part] === agent[part]);

/**
 * Decides from the agent's row alone whether a token is minted, and what it says.
 * @param agent - the row as it is now, or `undefined` where there is none
 * @param conditions.worker - who asks, as its proof showed it
 */
export const decideRunToken = (
  request: RunTokenRequest,
  agent: AgentForToken | undefined,
  conditions: { resourceBase: string; worker: Worker; now: Date },
): RunTokenDecision => {
  if (agent === undefined || agent.agentId !== request.agentId) return { ok: false, reason: 'agent_unknown' };
  if (agent.isHalted) return { ok: false, reason: 'halted' };
  if (agent.launchAuthorised !== true) return { ok: false, reason: 'launch_not_authorised' };
  if (agent.revoked) return { ok: false, reason: 'run_revoked' };
  if (agent.runState !== 'running') return { ok: false, reason: 'run_not_running' };
  if (agent.agentState !== 'running') return { ok: false, reason: 'agent_not_running' };
  if ((agent.taskQueueTier ?? defaultTier) !== conditions.worker.trustTier) return { ok: false, reason: 'tier_mismatch' };
  if (!isWithin(conditions.worker.limits, agent)) return { ok: false, reason: 'not_of_this_worker' };

  const issuedAtSeconds = Math.floor(conditions.now.getTime() / 1000);
  const endsAtSeconds = agent.endsAt === undefined ? Number.POSITIVE_INFINITY : Math.floor(agent.endsAt.getTime() / 1000);
  const expiresAtSeconds = Math.min(issuedAtSeconds + runTokenLifetimeSeconds, endsAtSeconds);
  if (!(expiresAtSeconds > issuedAtSeconds)) return { ok: false, reason: 'run_time_over' };

  const scope = audiencesOf(agent, conditions.resourceBase).get(request.resource);
  if (scope === undefined) return { ok: false, reason: 'audience_not_own' };
  if (request.scope !== undefined && request.scope !== scope) return { ok: false, reason: 'scope_not_own' };

  if (!agent.personScopes.includes(scope)) return { ok: false, reason: 'scope_not_of_person' };

  const { org, project, fleet, role, runId: run } = agent;
  const claims = { act: { sub: agent.agentId }, org, project, fleet, run, role };
  const subject = subjectOfAgent({ org, person: agent.startedBy, agentId: agent.agentId });
  return { ok: true, grant: { subject, audience: request.resource, scope, issuedAtSeconds, expiresAtSeconds, claims } };
};
