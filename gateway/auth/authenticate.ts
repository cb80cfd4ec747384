import { hash } from 'node:crypto';
import { usedProofSeconds } from '../../policy/check-token-proof.ts';
import { loginLevel } from '../../policy/login-level.ts';
import { needsPossession, provePossession, readSentToken, type SentToken, type TokenCarrier } from '../../policy/prove-possession.ts';
import { type AccessScope, hasScope, type PersonTokenClaims, type RunTokenClaims } from '../../schema/access-token.ts';
import { PlatformError } from '../../schema/errors.ts';
import { subjectOfAgent } from '../../schema/machine-person.ts';
import type { Database } from '../../store/database.ts';
import { findPersonBySession, findPersonByToken } from '../../store/people.ts';
import { useTokenProof } from '../../store/use-token-proof.ts';
import type { AgentPrincipal, PersonPrincipal, Principal } from '../principal.ts';
import { type AgentFacts, createAgentFacts } from './agent-facts.ts';
import { absentMs, believedMs, createBelievedFacts } from './believed-facts.ts';
import { KnownCallerRefused } from './known-caller-refused.ts';
import { type AccessTokenClaims, type AccessTokenVerifier, isRunToken } from './verify-access-token.ts';

const personTokenPrefix = 'qd_';

const sentToken = (authorization: string | undefined): SentToken => {
  const sent = readSentToken(authorization);
  if (!sent) throw new PlatformError('not_authenticated', 'Send a bearer token in the Authorization header (RFC 6750).');
  return sent;
};

const lookForPerson = async (
  database: Database,
  token: string,
  now: () => number,
): Promise<{ fact: PersonPrincipal; until?: number } | undefined> => {
  const found = await findPersonByToken(database, token, new Date(now()));
  if (!found) return undefined;
  const { tokenExpiresAt, ...person } = found;
  const grant = `token:${person.id}/${person.stamp}`;
  return { fact: { kind: 'person', ...person, grant }, ...(tokenExpiresAt ? { until: tokenExpiresAt.getTime() } : {}) };
};

const lookForLogin = async (
  database: Database,
  sessionId: string,
  now: () => number,
): Promise<{ fact: PersonPrincipal; until?: number } | undefined> => {
  const found = await findPersonBySession(database, sessionId, new Date(now()));
  if (!found) return undefined;
  const { expiresAt, ...person } = found;
  const grant = `login:${hash('sha256', sessionId, 'base64url').slice(0, 22)}`;
  return { fact: { kind: 'person', ...person, grant }, ...(expiresAt ? { until: expiresAt.getTime() } : {}) };
};

type Logins = Map<string, PersonPrincipal>;
const logins = new WeakMap<PersonPrincipal, Logins>();
/** A person may have tokens of one grant by different logins, before and after a stronger one. */
const mostLogins = 8;

/** The person as one who has logged in so: the same object for the same login, as long as nothing about the person changes. */
const withLogin = (person: PersonPrincipal, { auth_time: authTime, acr }: PersonTokenClaims): PersonPrincipal => {
  if (authTime === undefined) return person;
  const known: Logins = logins.get(person) ?? new Map();
  logins.set(person, known);
  const name = `${authTime} ${acr ?? ''}`;
  const found = known.get(name) ?? Object.freeze({ ...person, login: Object.freeze({ authTime, level: loginLevel(acr) }) });
  if (known.size >= mostLogins) known.clear();
  known.set(name, found);
  return found;
};

const chains = new WeakMap<AgentPrincipal, Map<string, AgentPrincipal>>();
const mostChains = 8;

/** The agent as one that others have handed its task on to: the same object for the same chain. Its rights are those of the agent alone. */
const withEarlierActors = (agent: AgentPrincipal, earlierActors: readonly string[] | undefined): AgentPrincipal => {
  if (earlierActors === undefined) return agent;
  const known: Map<string, AgentPrincipal> = chains.get(agent) ?? new Map();
  chains.set(agent, known);
  const name = JSON.stringify(earlierActors);
  const found = known.get(name) ?? Object.freeze({ ...agent, earlierActors });
  if (known.size >= mostChains) known.clear();
  known.set(name, found);
  return found;
};

const ofLogin = (person: PersonPrincipal | undefined, claims: PersonTokenClaims, needed: AccessScope): PersonPrincipal => {
  const { sub, scope } = claims;
  if (!person) throw new PlatformError('token_refused', 'The login of this token has ended; log in again.');
  if (`${person.org}/${person.id}` !== sub) throw new PlatformError('token_refused', 'The token does not belong to this login.');
  if (!hasScope(scope, needed))
    throw new KnownCallerRefused(
      person,
      'scope_insufficient',
      `The access token does not have the scope \`${needed}\`; ask the issuer for it.`,
    );
  return withLogin(person, claims);
};

const ofClaims = (agent: AgentPrincipal | undefined, claims: RunTokenClaims): AgentPrincipal => {
  if (!agent) throw new PlatformError('token_refused', 'The agent run of this token has ended.');
  // an issuer of the release before names the machine that launched a run; who the agent is and whether a person stands behind it say its rows
  const subjects = [subjectOfAgent(agent), `${agent.org}/${agent.person}`];
  if (agent.org !== claims.org || agent.project !== claims.project || !subjects.includes(claims.sub))
    throw new PlatformError('token_refused', 'The token does not belong to this agent run.');
  return withEarlierActors(agent, claims.earlierActors);
};

const known = (person: PersonPrincipal | undefined): PersonPrincipal => {
  if (!person) throw new PlatformError('token_refused', 'The token is not known here, or is no longer valid.');
  return person;
};

/**
 * Turns a bearer token into who calls. A token of the issuer must be for exactly this audience (RFC 8707): that of a run stands for its
 * agent, that of a login for its person. A person's own token of the installation is good at each endpoint, and refused in the profile
 * `production`.
 * A token that is bound to a key (`cnf`) is nobody's without a proof of that key (RFC 9449).
 * The principal is frozen, and the same object as long as nothing about it changes.
 * @returns a promise only where the issuer's keys or the database have to be asked
 * @throws {PlatformError} `not_authenticated`, `token_refused`, `proof_refused`, `scope_insufficient`, `server_unavailable`, `store_unavailable`; at once or by the promise
 */
export const createAuthenticator = ({
  database,
  profile,
  verifyAccessToken,
  now,
  agents = createAgentFacts({ database, now }),
}: {
  database: Database;
  profile: string;
  verifyAccessToken: AccessTokenVerifier;
  now: () => number;
  agents?: AgentFacts;
}) => {
  const people = createBelievedFacts({ look: (token) => lookForPerson(database, token, now), believedMs, absentMs, now });

  const sessions = createBelievedFacts({ look: (sessionId) => lookForLogin(database, sessionId, now), believedMs, absentMs, now });

  const agentOf = (claims: RunTokenClaims): AgentPrincipal | Promise<AgentPrincipal> => {
    const agent = agents.find(claims.act.sub);
    return agent instanceof Promise ? agent.then((found) => ofClaims(found, claims)) : ofClaims(agent, claims);
  };

  const personOf = (claims: PersonTokenClaims, audience: string): PersonPrincipal | Promise<PersonPrincipal> => {
    const needed = audience.endsWith('/v1') ? 'models' : 'mcp';
    const person = sessions(claims.sid);
    return person instanceof Promise ? person.then((found) => ofLogin(found, claims, needed)) : ofLogin(person, claims, needed);
  };

  const prove = async (sent: SentToken, jkt: string | undefined, carrier: TokenCarrier | undefined): Promise<void> => {
    const use = (proof: { thumbprint: string; id: string }) => useTokenProof(database, 'resource', proof, usedProofSeconds);
    const decision = await provePossession(sent, { jkt, carrier, now: new Date(now()), use });
    if (!decision.ok) throw new PlatformError('proof_refused', `The access token is not accepted: ${decision.reason}.`);
  };

  return (authorization: string | undefined, audience: string, carrier?: TokenCarrier): Principal | Promise<Principal> => {
    const sent = sentToken(authorization);
    const { token } = sent;
    if (!sent.isDpop && token.startsWith(personTokenPrefix)) {
      // the token itself is not kept in memory
      const person = profile === 'production' ? undefined : people(hash('sha256', token, 'base64'), token);
      return person instanceof Promise ? person.then(known) : known(person);
    }
    const claims = verifyAccessToken(token, audience);
    const holderOf = (verified: AccessTokenClaims) => (isRunToken(verified) ? agentOf(verified) : personOf(verified, audience));
    const principalOf = (verified: AccessTokenClaims) =>
      needsPossession(sent, verified.cnf?.jkt)
        ? prove(sent, verified.cnf?.jkt, carrier).then(() => holderOf(verified))
        : holderOf(verified);
    return claims instanceof Promise ? claims.then(principalOf) : principalOf(claims);
  };
};
