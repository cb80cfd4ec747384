import type { AgentDirectory } from '../../control/issuer/issuer-config.ts';
import { indexHalts } from '../../policy/halt-index.ts';
import { findAgentWithRun } from '../../store/agents.ts';
import type { Database } from '../../store/database.ts';
import { listHalts } from '../../store/halts.ts';
import type { RunSnapshot } from '../../store/runs.ts';

/** What the issuer learns of an agent: from its row and its run's, with the role as it was when the run was launched. */
export const createAgentDirectory = (database: Database): AgentDirectory => ({
  findForToken: async (agentId) => {
    const found = await findAgentWithRun(database, agentId);
    if (!found) return undefined;
    const { agent, run } = found;
    const role = (run.snapshot as RunSnapshot).roles[agent.role];
    if (!role) return undefined;
    return {
      org: agent.org,
      project: agent.project,
      fleet: run.fleet,
      runId: run.id,
      agentId: agent.id,
      role: agent.role,
      startedBy: run.startedBy,
      runState: run.state,
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
