import type { EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { agentEntities, personEntities } from '../policy/caller-entities.ts';
import { entityUid } from '../policy/entities.ts';
import type { CallerLogin } from '../policy/wanted-login.ts';
import { noLogin } from '../policy/whole-context.ts';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { Tenancy } from '../schema/ids.ts';
import { isMachine } from '../schema/machine-person.ts';
import type { AgentLimits } from '../schema/resources/agent-role.ts';
import type { RunVolume } from '../schema/run.ts';

export type PersonPrincipal = {
  kind: 'person';
  org: string;
  id: string;
  groups: string[];
  roles: string[];
  disabled: boolean;
  stamp: string;
  /** The client that the person let in, as whose own what it reads is labelled: `login:…`, or `token:ID/STAMP` of the installation's. */
  grant: string;
  /** When the person has last shown who they are, in seconds since the epoch, and how well (`loginLevel`); of a login alone. */
  login?: { authTime: number; level: number };
};
export type AgentPrincipal = Tenancy & {
  kind: 'agent';
  agentId: string;
  fleet: string;
  runId: string;
  role: string;
  /** The person on whose behalf the agent acts. */
  person: string;
  assignedPaths: string[];
  volumes: RunVolume[];
  limits: AgentLimits;
  /** Who acted before the agent, the latest first, as its token says: for the record, nothing is decided by it. */
  earlierActors?: readonly string[];
};
/** Who calls: a person, or an agent of a run on a person's behalf. */
export type Principal = PersonPrincipal | AgentPrincipal;

export const principalUid = (principal: Principal): TypeAndId =>
  principal.kind === 'agent' ? entityUid('Agent', principal.agentId) : entityUid('User', `${principal.org}/${principal.id}`);

export const principalEntities = (principal: Principal): EntityJson[] =>
  principal.kind === 'agent' ? agentEntities({ ...principal, owner: principal.person, quarantined: false }) : personEntities(principal);

/** The `who` of a decision's context: nobody stands behind a machine, nor behind the agents of a run that it launched. */
export const whoOf = (principal: Principal) =>
  principal.kind === 'agent'
    ? { hasHuman: !isMachine(principal.person), run: principal.runId }
    : { hasHuman: !isMachine(principal.id), run: '' };

/** The `login` of a decision's context: what a token of a login says, and of all others that none is known. */
export const loginOf = (principal: Principal, now: number): CallerLogin =>
  principal.kind === 'person' && principal.login !== undefined
    ? { age: Math.max(0, Math.floor(now / 1000) - principal.login.authTime), level: principal.login.level }
    : noLogin;

/** One name for a principal, e.g. as owner of an operation. */
export const principalName = (principal: Principal): string =>
  principal.kind === 'agent' ? `agent:${principal.agentId}` : `person:${principal.org}/${principal.id}`;

/** The whole chain of who acts for whom, the present one first, for the facts of an audit row; nothing where there is but one. */
export const actorFacts = (principal: Principal): { actors?: string[] } =>
  principal.kind === 'agent' && principal.earlierActors !== undefined ? { actors: [principal.agentId, ...principal.earlierActors] } : {};

/** Who, for an audit row. */
export const auditWho = (principal: Principal): Partial<NewAuditEvent> =>
  principal.kind === 'agent'
    ? { person: principal.person, agent: principal.agentId, role: principal.role, fleet: principal.fleet, run: principal.runId }
    : { person: principal.id, stamp: principal.stamp };
