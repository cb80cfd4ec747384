import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Database } from '../../store/database.ts';
import { findPerson } from '../../store/people.ts';
import type { AgentDirectory } from './agent-directory.ts';

/** For whom a credential is: a person, who may have an agent act; or the platform itself. */
export type Caller = { kind: 'person'; person: string; agentId?: string } | { kind: 'service' };

const refused = (what: string): PlatformError => new PlatformError('not_permitted', `There is no credential for this caller: ${what}.`);

const agentOf = async (agents: AgentDirectory, agentId: string, { org, project }: Tenancy) => {
  const agent = await agents.findForToken(agentId);
  if (!agent || agent.org !== org || agent.project !== project) throw refused('no agent of this project');
  const isRunning = ['starting', 'running'].includes(agent.runState) && agent.agentState === 'running';
  if (!isRunning || !agent.launchAuthorised) throw refused('its run has ended');
  return agent;
};

/**
 * Finds out for whom the gateway asks. It is believed who calls, and nothing more: whether the person is let in, and whether the run still
 * runs and for whom, is read from their rows.
 * @param principal - as the gateway names callers
 * @throws {PlatformError} `not_permitted`
 */
export const findCaller = async (
  { database, agents }: { database: Database; agents: AgentDirectory },
  principal: string,
  server: Tenancy,
): Promise<Caller> => {
  if (principal === 'service') return { kind: 'service' };
  const agentId = principal.startsWith('agent:') ? principal.slice('agent:'.length) : undefined;
  const account =
    agentId === undefined ? principal.replace(/^person:/, '') : `${server.org}/${(await agentOf(agents, agentId, server)).startedBy}`;
  const [org = '', id = '', ...rest] = account.split('/');
  if (org !== server.org || rest.length > 0) throw refused('the server is of another org');
  const person = await findPerson(database, org, id);
  if (!person || person.disabled) throw refused('the person is shut out');
  return { kind: 'person', person: id, ...(agentId === undefined ? {} : { agentId }) };
};
