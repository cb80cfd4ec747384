import { PlatformError } from '../../schema/errors.ts';
import type { AgentState } from '../../schema/run.ts';
import { getAgent } from '../../store/agents.ts';
import type { Person } from '../../store/people.ts';
import { getRun, type RunKey } from '../../store/runs.ts';
import { loadTranscript } from '../../store/transcripts.ts';
import type { ApiDependencies } from './api-dependencies.ts';
import type { Permit } from './permit.ts';
import { recordChange } from './record-change.ts';

export type AgentTranscript = { agentId: string; state: AgentState; transcript: { head: unknown; entries: unknown[] } };

/**
 * Opens the newest transcript of an agent for a person who may read the audit; that they did is in the audit first.
 * @param agent - the agent's id, or what of it follows the run: `stage/role/ordinal`
 * @throws {PlatformError} `not_found`, `not_permitted`, `content_missing`
 */
export const readTranscript = async (
  { database, audit, contentStore, permit }: ApiDependencies & { permit: Permit },
  person: Person,
  key: RunKey,
  agent: string,
): Promise<AgentTranscript> => {
  const { org, project } = key;
  const decision = await permit(person, 'readAudit', { org, project });
  const run = await getRun(database, key);
  const prefix = `${org}/${project}/${run.fleet}/${run.id}/`;
  const agentId = agent.startsWith(prefix) ? agent : `${prefix}${agent}`;
  const found = await getAgent(database, agentId);
  if (!found.transcriptDigest) throw new PlatformError('not_found', `The agent ${agentId} has no transcript yet; it is ${found.state}.`);
  const transcript = await loadTranscript(contentStore, { org, project }, found.transcriptDigest);
  const what = { kind: 'call' as const, action: 'readTranscript', fleet: run.fleet, run: run.id, agent: agentId, role: found.role };
  await recordChange(audit, database, key, person, decision, what);
  return { agentId, state: found.state, transcript };
};
