import { PlatformError } from '../../schema/errors.ts';
import { findAgentWithRun } from '../../store/agents.ts';
import type { Database } from '../../store/database.ts';
import { findPersonByToken } from '../../store/people.ts';
import type { AgentPrincipal, Principal } from '../principal.ts';
import type { RunTokenVerifier } from './verify-run-token.ts';

/** How long what an agent's row says is believed: its facts do not change, and its end is checked by each reservation. */
const agentFactsMs = 2000;
const personTokenPrefix = 'qd_';

const bearerOf = (authorization: string | undefined): string => {
  const match = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization ?? '');
  if (!match?.[1]) throw new PlatformError('not_authenticated', 'Send a bearer token in the Authorization header (RFC 6750).');
  return match[1];
};

/**
 * Turns a bearer token into who calls. A run's token must be for exactly this audience (RFC 8707); a person's own token of the
 * installation is good at each endpoint, and refused in the profile `production`.
 * @throws {PlatformError} `not_authenticated`, `token_refused`, `server_unavailable`, `store_unavailable`
 */
export const createAuthenticator = ({
  database,
  profile,
  verifyRunToken,
  now,
}: {
  database: Database;
  profile: string;
  verifyRunToken: RunTokenVerifier;
  now: () => number;
}) => {
  const agents = new Map<string, { principal: AgentPrincipal; until: number }>();

  const loadAgent = async (agentId: string): Promise<AgentPrincipal> => {
    const known = agents.get(agentId);
    if (known && known.until > now()) return known.principal;
    const row = await findAgentWithRun(database, agentId);
    if (!row || !['starting', 'running'].includes(row.run.state) || row.agent.state !== 'running')
      throw new PlatformError('token_refused', 'The agent run of this token has ended.');
    const { agent, run } = row;
    const principal: AgentPrincipal = {
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
    };
    if (agents.size > 5000) agents.clear();
    agents.set(agentId, { principal, until: now() + agentFactsMs });
    return principal;
  };

  return async (authorization: string | undefined, audience: string): Promise<Principal> => {
    const token = bearerOf(authorization);
    if (token.startsWith(personTokenPrefix)) {
      const person = profile === 'production' ? undefined : await findPersonByToken(database, token, new Date(now()));
      if (!person) throw new PlatformError('token_refused', 'The token is not known here, or is no longer valid.');
      return { kind: 'person', ...person };
    }
    const claims = await verifyRunToken(token, audience);
    const principal = await loadAgent(claims.act.sub);
    if (principal.org !== claims.org || principal.project !== claims.project || `${principal.org}/${principal.person}` !== claims.sub)
      throw new PlatformError('token_refused', 'The token does not belong to this agent run.');
    return principal;
  };
};
