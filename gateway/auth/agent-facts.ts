import { findAgentWithRun } from '../../store/agents.ts';
import type { Database } from '../../store/database.ts';
import type { EndedIdentity } from '../../store/watch-ended-identities.ts';
import type { AgentPrincipal } from '../principal.ts';
import { absentMs, createBelievedFacts } from './believed-facts.ts';

/** With the time of a query on a busy machine, an agent that has ended is refused within 2 s also when nobody tells. */
const believedMs = 1500;

const lookForAgent = async (database: Database, agentId: string): Promise<{ fact: AgentPrincipal } | undefined> => {
  const row = await findAgentWithRun(database, agentId);
  if (!row) return undefined;
  const { agent, run, isPersonDisabled } = row;
  if (!['starting', 'running'].includes(run.state) || run.revokedAt || agent.state !== 'running' || isPersonDisabled) return undefined;
  return {
    fact: {
      kind: 'agent',
      org: agent.org,
      project: agent.project,
      agentId,
      fleet: run.fleet,
      runId: run.id,
      role: agent.role,
      person: run.startedBy,
      assignedPaths: agent.assignedPaths,
      volumes: run.volumes,
      limits: agent.limits,
    },
  };
};

/** Whether an agent is one that has ended: it itself, or all of its run. */
export const isEnded = ({ org, project, run, agent }: EndedIdentity, principal: AgentPrincipal): boolean =>
  agent === undefined ? principal.runId === run && principal.project === project && principal.org === org : principal.agentId === agent;

/**
 * Agents as their rows have them, believed for a moment, as long as they are at work. `forget` ends that when one has ended, so that its
 * next call is refused although its token has not expired.
 */
export const createAgentFacts = ({ database, now }: { database: Database; now: () => number }) => {
  const find = createBelievedFacts({ look: (agentId) => lookForAgent(database, agentId), believedMs, absentMs, now });
  return {
    find,
    forget: (ended: EndedIdentity): void => find.forget((agent) => isEnded(ended, agent)),
    forgetAll: (): void => find.forget(() => true),
  };
};
export type AgentFacts = ReturnType<typeof createAgentFacts>;
