import type { AgentDirectory, AgentForToken } from '../../control/issuer/agent-directory.ts';
import { indexHalts } from '../../policy/halt-index.ts';
import { findAgentWithRun } from '../../store/agents.ts';
import type { Database } from '../../store/database.ts';
import { listHalts } from '../../store/halts.ts';
import { findPerson } from '../../store/people.ts';
import type { RunSnapshot } from '../../store/runs.ts';
import type { MayUse } from './api-policy.ts';

/**
 * What the issuer learns of an agent: from its row and its run's, with the role as it was when the run was launched, as far as the fleet
 * has that role at that stage; and what the person who launched the run may use themselves by now.
 */
export const createAgentDirectory = ({ database, mayUse }: { database: Database; mayUse: MayUse }): AgentDirectory => ({
  findForToken: async (agentId) => {
    const found = await findAgentWithRun(database, agentId);
    if (!found) return undefined;
    const { agent, run } = found;
    const { roles, fleet } = run.snapshot as RunSnapshot;
    const role = roles[agent.role];
    if (!role || !fleet.stages.some((stage) => stage.name === agent.stage && stage.role === agent.role)) return undefined;
    const person = await findPerson(database, run.org, run.startedBy);
    const personScopes: AgentForToken['personScopes'][number][] = [];
    if (person && role.toolset !== undefined && mayUse(person, agent, { kind: 'Toolset', name: role.toolset })) personScopes.push('mcp');
    if (person && mayUse(person, agent, { kind: 'Model', name: role.model })) personScopes.push('models');
    return {
      org: agent.org,
      project: agent.project,
      fleet: run.fleet,
      runId: run.id,
      agentId: agent.id,
      role: agent.role,
      startedBy: run.startedBy,
      personScopes,
      runState: run.state,
      revoked: run.revokedAt !== null,
      agentState: agent.state,
      toolset: role.toolset ?? '', // no toolset has that name, so no tool is open to it
      isHalted:
        indexHalts(await listHalts(database, agent)).find({
          org: agent.org,
          project: agent.project,
          person: run.startedBy,
          fleet: run.fleet,
          run: run.id,
          agent: agent.id,
          role: agent.role,
        }) !== undefined,
      launchAuthorised: run.launchDecisionId !== '',
      ...(agent.deadlineAt ? { endsAt: agent.deadlineAt } : {}),
    };
  },
});
