import { randomFillSync } from 'node:crypto';
import type { Context, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { entityUid, projectEntities } from '../policy/entities.ts';
import type { Known, KnownRequest } from '../policy/known.ts';
import type { PolicyDecision } from '../policy/policy-decision.ts';
import { noArguments } from '../policy/recorded-context.ts';
import { bestLogin, findWantedLogin, type WantedLogin } from '../policy/wanted-login.ts';
import { loginActions } from '../policy/whole-context.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { StoredResource } from '../schema/resource.ts';
import type { GatewayContext } from './gateway-context.ts';
import { loginOf, type Principal, principalEntities, principalUid, whoOf } from './principal.ts';

/**
 * `policyVersion` says which policies decided: a digest of them all; undefined where none were loaded. `asked` is what it was made on, for the
 * record; missing where nothing was asked.
 */
export type Decision = PolicyDecision & {
  decisionId: string;
  policyVersion?: string | undefined;
  asked?: KnownRequest;
  /** The login that a refusal is for want of. */
  wantedLogin?: WantedLogin;
};

const idBytes = 9;
const randomPool = Buffer.alloc(idBytes * 500);
let usedOfPool = randomPool.length;

let tick = -1;
let tickText = '';
/** Of the last tenth of a second, so that ids of one time stand together in the audit's index: a random place for each row costs it twice. */
const timeText = (): string => {
  const now = Math.floor(Date.now() / 100);
  if (now === tick) return tickText;
  tick = now;
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(now, 0, 6);
  tickText = bytes.toString('base64url');
  return tickText;
};

/** An opaque id for a decision: a refusal shows it, the audit explains it. Random bytes are drawn for many ids at once. */
export const newDecisionId = (): string => {
  if (usedOfPool === randomPool.length) {
    randomFillSync(randomPool);
    usedOfPool = 0;
  }
  usedOfPool += idBytes;
  return `dec_${timeText()}${randomPool.toString('base64url', usedOfPool - idBytes, usedOfPool)}`;
};

const knownPrincipals = new WeakMap<Principal, Known>();
const knownTargets = new WeakMap<readonly EntityJson[], Known>();
const knownProjects = new WeakMap<StoredResource<'Project'>, Known>();

/** The principal's entities, made once for as long as `authenticate` gives out the same object. */
const knownPrincipal = (principal: Principal): Known => {
  const found = knownPrincipals.get(principal);
  if (found) return found;
  const known = { uid: principalUid(principal), entities: principalEntities(principal) };
  knownPrincipals.set(principal, known);
  return known;
};

/** A caller that keeps its `entities` is recognised by them. */
const knownTarget = (uid: TypeAndId, entities: readonly EntityJson[]): Known => {
  const found = knownTargets.get(entities);
  if (found && found.uid.id === uid.id && found.uid.type === uid.type) return found;
  const known = { uid, entities };
  knownTargets.set(entities, known);
  return known;
};

const projectFacts = (
  { org, project }: Tenancy,
  declared: StoredResource<'Project'> | undefined,
  // a project that nobody declared calls nothing
  frozen = declared?.spec.frozen ?? true,
): Known => ({
  uid: entityUid('Project', `${org}/${project}`),
  entities: projectEntities({ org, project, environment: declared?.spec.environment ?? 'development', frozen }),
});

const knownProject = (tenancy: Tenancy, declared: StoredResource<'Project'> | undefined, isMoment: boolean): Known => {
  if (!isMoment && (declared?.spec.frozen ?? true)) return projectFacts(tenancy, declared, false);
  if (!declared) return projectFacts(tenancy, undefined);
  const found = knownProjects.get(declared);
  if (found) return found;
  const known = projectFacts(tenancy, declared);
  knownProjects.set(declared, known);
  return known;
};

/** Asks the policies of the resource's project. A decision that cannot be made is a deny, and is logged. */
export const decide = (
  { policy, declared, logger, now }: GatewayContext,
  {
    principal,
    tenancy,
    action,
    resource,
    entities,
    facts = {},
    isMoment = true,
  }: {
    principal: Principal;
    tenancy: Tenancy;
    action: string;
    resource: TypeAndId;
    /** All that is known of the resource. An array that is kept for the next call, unchanged, makes that one faster. */
    entities: readonly EntityJson[];
    /** What the action's context needs beside `who`; `any` asks whether any call could be allowed, whatever its arguments are. */
    facts?: Context | 'any';
    /** False asks beside the moment: whether it would be allowed in a project that is not frozen, to a person after the best login. */
    isMoment?: boolean;
  },
): Decision => {
  const asksLogin = loginActions.has(action) && facts !== 'any' && policy.readsLogin(tenancy);
  const loginNow = () => (isMoment || principal.kind === 'agent' ? loginOf(principal, now()) : bestLogin);
  const asked: KnownRequest = {
    principal: knownPrincipal(principal),
    action,
    resource: knownTarget(resource, entities),
    surroundings: knownProject(tenancy, declared().find('Project', tenancy, tenancy.project), isMoment),
    context: {
      who: whoOf(principal),
      ...(facts === 'any' ? { arguments: noArguments } : facts),
      ...(asksLogin ? { login: loginNow() } : {}),
    },
    forAnyArguments: facts === 'any',
  };
  const decision = policy.decideKnown(tenancy, asked);
  const decisionId = newDecisionId();
  if (decision.error) logger.error({ decisionId, action, error: decision.error }, 'a decision could not be made and is a deny');
  const wantedLogin =
    asksLogin && principal.kind === 'person' && decision.effect === 'deny'
      ? findWantedLogin(
          (login) => policy.decideKnown(tenancy, { ...asked, context: { ...asked.context, login } }),
          loginOf(principal, now()),
        )
      : undefined;
  return { ...decision, decisionId, policyVersion: policy.versionOf(tenancy), asked, ...(wantedLogin ? { wantedLogin } : {}) };
};
