import type { Context, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { approvalEntity } from '../../policy/approval-entities.ts';
import { checkProjectPolicies } from '../../policy/assemble-policies.ts';
import type { PolicyEngine } from '../../policy/engine.ts';
import { declaredEntity, entityUid, fleetEntity, roleEntity } from '../../policy/entities.ts';
import type { Verdict } from '../../schema/approval.ts';
import { qualifiedName, type Tenancy } from '../../schema/ids.ts';
import { isMachine } from '../../schema/machine-person.ts';
import { type Declared, projectPolicies } from '../../store/declared.ts';
import type { Person } from '../../store/people.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ApiAction, ApiDecision, ApiProfile, ApiTarget, Authorize, ValidatePolicies } from './api-dependencies.ts';
import { createPersonAsk, type PersonAnswer } from './ask-as-person.ts';
import { loginOf } from './login-of.ts';
import { newDecisionId } from './new-decision-id.ts';
import { createPersonRights } from './person-rights.ts';

type Target = ApiTarget | undefined;

const resourceOf = (action: ApiAction, tenancy: Tenancy, target: Target): { uid: TypeAndId; entities: EntityJson[]; verdict?: Verdict } => {
  if (action === 'launchFleet' && target)
    return { uid: entityUid('Fleet', qualifiedName(tenancy, target.name)), entities: [fleetEntity(tenancy, target.name)] };
  if (target?.fix) return { uid: target.fix.resource.uid, entities: [...target.fix.resource.entities] };
  if (target?.approval) {
    const entity = approvalEntity({ ...tenancy, id: target.name, ...target.approval });
    return {
      uid: entityUid('Approval', qualifiedName(tenancy, target.name)),
      entities: [entity],
      verdict: target.approval.verdict,
    };
  }
  if (!target || target.kind === 'Project') return { uid: entityUid('Project', `${tenancy.org}/${tenancy.project}`), entities: [] };
  const entity = declaredEntity(tenancy, target.kind, target.name, target.submitters);
  return { uid: entityUid('Declared', qualifiedName(tenancy, `${target.kind}/${target.name}`)), entities: [entity] };
};

/** Of whom no login is known, it is longer ago than any policy asks. */
const noLogin = { ageSeconds: 1_000_000_000, level: 0 };

/** What the context has beside `who` where a person lets something through, which takes a login. */
const contextOf = (
  person: Person,
  action: string,
  { verdict = 'approve', fix }: { verdict?: Verdict; fix?: ApiTarget['fix'] },
  { profile, now }: { profile: ApiProfile; now: Date },
): Context => {
  const who = { hasHuman: !isMachine(person.id), run: '' };
  const { ageSeconds, level } = loginOf(person, now) ?? noLogin;
  const loggedIn = { ...who, authAge: ageSeconds, acr: level };
  switch (action) {
    case 'approve':
      return { who: loggedIn, verdict, mayApproveOwn: profile === 'solo' };
    case 'approveFix':
      return { who: loggedIn, planHash: fix?.planHash ?? '', named: fix?.named ?? false, mayApproveOwn: profile === 'solo' };
    case 'loosenGuards':
      return { who: loggedIn, mayApproveOwn: profile !== 'production' };
    case 'approveServer':
      // in the other profiles a server's `apply` is its first approval already (design §5)
      return { who: loggedIn, mayApproveOwn: profile !== 'production' };
    default:
      return { who };
  }
};

/**
 * What administrators, and whom a publication is asked of, may do though a project has no usable policies: look, and publish good ones.
 * Otherwise a publication that was damaged would lock out those who can mend it.
 */
const breakGlassActions: ReadonlySet<ApiAction> = new Set(['applyResource', 'approve', 'getResource', 'readAudit', 'seeApproval']);

const mayBreakGlass = (action: string, target: Target): boolean =>
  breakGlassActions.has(action as ApiAction) && (action !== 'applyResource' || target?.kind === 'PolicySet');

/** Decides with the same policies as the gateway. Launching a fleet needs the fleet, each of its roles, and what these use. */
export const createAuthorizer = ({
  policy,
  declared,
  profile,
  clock,
  logger,
}: {
  policy: PolicyEngine;
  declared: () => Declared;
  profile: ApiProfile;
  clock: () => Date;
  logger: Logger;
}): Authorize => {
  const askAsPerson = createPersonAsk({ policy, declared });
  const rights = createPersonRights({ policy, declared });
  const decided = (action: string, { effect, policies, advice, error, bundle, asked, policyVersion }: PersonAnswer): ApiDecision => {
    if (error) logger.error({ action, error }, 'a decision could not be made and is a deny');
    return {
      // whether a person is needed is asked of calls alone
      effect: effect === 'allow' ? 'allow' : 'deny',
      decisionId: newDecisionId(),
      policies,
      policyVersion,
      asked,
      ...(bundle ? { bundle } : {}),
      ...(advice.length > 0 ? { advice: advice.join(' ') } : {}),
    };
  };
  const ask = (person: Person, action: string, tenancy: Tenancy, resource: ReturnType<typeof resourceOf>, target?: Target): ApiDecision => {
    const isBroken = declared().find('Project', tenancy, tenancy.project) !== undefined && policy.versionOf(tenancy) === undefined;
    const byPlatformAlone = isBroken && mayBreakGlass(action, target);
    const context = contextOf(person, action, { ...resource, ...(target?.fix ? { fix: target.fix } : {}) }, { profile, now: clock() });
    const answer = askAsPerson(person, action, tenancy, resource, { context, byPlatformAlone });
    return { ...decided(action, answer), ...(byPlatformAlone ? { stamp: 'break-glass' as const } : {}) };
  };

  /** Agents get no token for what the person may not use themselves: said at the launch, not by each agent. */
  const deniedOf = (person: Person, tenancy: Tenancy, role: string): ApiDecision | undefined => {
    const spec = declared().find('AgentRole', tenancy, role)?.spec;
    if (!spec) return undefined; // the launch itself says what is missing
    const things = [
      ...(spec.toolset === undefined ? [] : [{ kind: 'Toolset' as const, name: spec.toolset }]),
      { kind: 'Model' as const, name: spec.model },
    ];
    for (const thing of things) {
      const answer = rights(person, tenancy, thing);
      if (answer && answer.effect !== 'allow')
        return { ...decided('launchFleet', answer), lacking: `${thing.kind} ${thing.name}, which its role ${role} uses` };
    }
    return undefined;
  };

  return async (person, action, tenancy, target) => {
    const decision = ask(person, action, tenancy, resourceOf(action, tenancy, target), target);
    if (action !== 'launchFleet' || !target || decision.effect === 'deny') return decision;
    const fleet = declared().find('Fleet', tenancy, target.name);
    if (!fleet) return { ...decision, effect: 'deny' };
    const roles = new Set(fleet.spec.stages.map((stage) => stage.role));
    for (const role of roles) {
      const ofRole = ask(person, 'useRole', tenancy, {
        uid: entityUid('AgentRole', qualifiedName(tenancy, role)),
        entities: [roleEntity(tenancy, role)],
      });
      if (ofRole.effect === 'deny') return ofRole;
      const denied = deniedOf(person, tenancy, role);
      if (denied) return denied;
    }
    return decision;
  };
};

/** Judges the Cedar texts that are to be stored together with the bindings that are there. */
export const createPolicyValidator =
  (declared: () => Declared): ValidatePolicies =>
  (tenancy, cedarTexts) => {
    const stored = projectPolicies(declared(), tenancy);
    const replaced = new Set(cedarTexts.map(({ name }) => name));
    return checkProjectPolicies(tenancy, {
      policySets: [...stored.policySets.filter(({ name }) => !replaced.has(name)), ...cedarTexts],
      bindings: stored.bindings,
    });
  };
