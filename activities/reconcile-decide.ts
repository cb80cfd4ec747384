import { personEntities } from '../policy/caller-entities.ts';
import { decideFix, type FixDecision, type FixToDecide } from '../policy/decide-fix.ts';
import { basisOf, partsOf } from '../policy/decision-record.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import { entityUid, projectEntities, roleEntity } from '../policy/entities.ts';
import { fixProposerOf } from '../policy/fix-proposer.ts';
import type { Known, KnownRequest } from '../policy/known.ts';
import type { PolicyDecision } from '../policy/policy-decision.ts';
import { recordContext } from '../policy/recorded-context.ts';
import type { TargetOf } from '../reconcile/target-port.ts';
import type { ApprovalNeed } from '../schema/approval.ts';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import { PlatformError } from '../schema/errors.ts';
import { qualifiedName, type Tenancy } from '../schema/ids.ts';
import type { AuditLog } from '../store/audit-log.ts';
import type { Database } from '../store/database.ts';
import { insertDecisionFacts } from '../store/decision-facts.ts';
import { submittersOfFix } from '../store/fix-submitters.ts';
import { findPerson } from '../store/people.ts';
import { findFix } from '../store/reconcile-fixes.ts';
import { findApplier, findResource } from '../store/resources.ts';

/** What the loop knows of a fix when it asks; the rest is read from the store at that moment. `approval.people` are ids. */
export type FixQuestion = Pick<
  FixToDecide,
  'fixId' | 'plan' | 'planDigest' | 'blast' | 'mustAsk' | 'dryRunOk' | 'inWindow' | 'stateHashFresh' | 'recentFixes' | 'isKindPaused'
> & { target: TargetOf; approval?: { planDigest: string; people: readonly string[] } };

/** `policyVersion` names the policies that decided; `owner` is on whose behalf the fix would be made, and who does not approve it. */
export type FixAnswer = { decisionId: string; policyVersion: string; policies: string[]; owner: string } & (
  | { kind: 'apply' }
  | { kind: 'ask'; need: ApprovalNeed }
  | { kind: 'refuse'; rule: string; advice: string }
);

/**
 * Decides about fixes and diagnoses by Cedar, and writes each decision into the audit with what it was made on: a refusal too, with the
 * policies that refused. No approval is asked for here; an answer of `ask` says whom.
 * @param options.engine - kept up to date with the policies of all projects
 * @param options.mayApproveOwn - whether the installation has one person alone
 */
export const createFixDecider = ({
  database,
  engine,
  audit,
  mayApproveOwn,
  newDecisionId,
}: {
  database: Database;
  engine: Pick<PolicyEngine, 'decideKnown' | 'versionOf'>;
  audit: Pick<AuditLog, 'append'>;
  mayApproveOwn: boolean;
  newDecisionId: () => string;
}) => {
  const projectOf = async ({ org, project }: Tenancy): Promise<{ environment: string; frozen: boolean }> => {
    const { spec } = (await findResource(database, { org, project, kind: 'Project', name: project })) ?? {};
    return { environment: spec?.environment ?? 'development', frozen: spec?.frozen ?? false };
  };

  const ownerOf = async ({ org, project, name }: Pick<TargetOf, 'org' | 'project' | 'name'>): Promise<string> => {
    const owner = await findApplier(database, { org, project, kind: 'ReconcileTarget', name });
    if (owner !== undefined) return owner;
    throw new PlatformError(
      'not_permitted',
      `Nobody is known to have declared the target ${name}, so nothing is done on anybody's behalf; apply it again as a person.`,
    );
  };

  /** Writes what was decided, on what, and what follows. @returns the id of the decision */
  const record = async (
    place: Tenancy,
    { decision, asked }: { decision: PolicyDecision; asked: KnownRequest },
    event: Pick<NewAuditEvent, 'outcome' | 'decision' | 'kind'> & Partial<NewAuditEvent>,
  ): Promise<string> => {
    const decisionId = newDecisionId();
    const { effect, bundle } = decision;
    const recordable = { effect, asked, ...(bundle ? { bundle } : {}) };
    const { facts, ...rest } = event;
    await database.transaction(async (transaction) => {
      const within = transaction as unknown as Database;
      await insertDecisionFacts(
        within,
        partsOf(recordable).map((part) => ({ ...place, ...part })),
      );
      await audit.append(within, [
        {
          ...place,
          ...{ action: asked.action, decisionId, policies: decision.policies, policyVersion: engine.versionOf(place) ?? null },
          basis: basisOf(recordable),
          facts: { ...(recordContext(asked.context, null) as NonNullable<NewAuditEvent['facts']>), ...facts },
          ...rest,
        },
      ]);
    });
    return decisionId;
  };

  const eventOf = ({ kind, ...decided }: FixDecision): Pick<NewAuditEvent, 'outcome' | 'decision' | 'kind'> & Partial<NewAuditEvent> => {
    if (kind === 'apply') return { kind: 'change', decision: 'allow', outcome: 'ok' };
    const errorCode = kind === 'ask' ? 'needs_person' : 'not_permitted';
    const refused = { kind: 'refusal', decision: 'deny', outcome: 'refused', errorCode } as const;
    return 'rule' in decided ? { ...refused, facts: { rule: decided.rule } } : refused;
  };

  return {
    decideFix: async (question: FixQuestion): Promise<FixAnswer> => {
      const { target, approval, ...facts } = question;
      const place = { org: target.org, project: target.project };
      const owner = await ownerOf(target);
      const fix = await findFix(database, question.fixId);
      const people = await Promise.all((approval?.people ?? []).map((id) => findPerson(database, place.org, id)));
      const decided = decideFix(engine, {
        ...facts,
        target: { ...place, name: target.name, spec: target.spec, owner },
        project: await projectOf(place),
        proposer: fixProposerOf(question, owner),
        submitters: await submittersOfFix(database, { plan: question.plan, writers: fix?.writers ?? [] }, target.spec),
        // who is not there any more approves nothing
        ...(approval ? { approval: { planDigest: approval.planDigest, people: people.filter((person) => person !== undefined) } } : {}),
        mayApproveOwn,
      });
      const { fixId, planDigest, plan } = question;
      const event = eventOf(decided);
      const decisionId = await record(place, decided, {
        ...event,
        person: owner,
        ...{ resource: `ReconcileTarget/${target.name}`, operationId: fixId },
        facts: { ...event.facts, plan: planDigest, evidence: plan.evidenceDigest, steps: plan.steps.map(({ operation }) => operation.op) },
      });
      const { decision, asked: _asked, ...answer } = decided;
      return { ...answer, decisionId, owner, policies: decision.policies, policyVersion: engine.versionOf(place) ?? '' };
    },

    /**
     * Whether a target may be diagnosed by its role: on behalf of who declared it, so only where that person may use the role.
     * @throws {PlatformError} `not_permitted`
     */
    authoriseDiagnosis: async (target: Pick<TargetOf, 'org' | 'project' | 'name'>, role: string) => {
      const place = { org: target.org, project: target.project };
      const owner = await ownerOf(target);
      const person = (await findPerson(database, place.org, owner)) ?? { org: place.org, id: owner, groups: [], roles: [], disabled: true };
      const known = (type: string, id: string, entities: Known['entities']): Known => ({ uid: entityUid(type, id), entities });
      const asked: KnownRequest = {
        principal: known('User', `${place.org}/${owner}`, personEntities(person)),
        action: 'useRole',
        resource: known('AgentRole', qualifiedName(place, role), [roleEntity(place, role)]),
        surroundings: known('Project', `${place.org}/${place.project}`, projectEntities({ ...place, ...(await projectOf(place)) })),
        context: { who: { hasHuman: true, run: '' } },
      };
      const decision = engine.decideKnown(place, asked);
      const isAllowed = decision.effect === 'allow';
      const launchDecisionId = await record(
        place,
        { decision, asked },
        {
          ...(isAllowed
            ? ({ kind: 'change', decision: 'allow', outcome: 'ok' } as const)
            : ({ kind: 'refusal', decision: 'deny', outcome: 'refused', errorCode: 'not_permitted' } as const)),
          ...{ person: owner, role, resource: `ReconcileTarget/${target.name}` },
        },
      );
      if (isAllowed) return { owner, launchDecisionId };
      throw new PlatformError(
        'not_permitted',
        `${owner} declared the target ${target.name} and may not use the role ${role}, so nothing is diagnosed; bind the role to them, or have somebody apply the target who may.`,
        { facts: { decisionId: launchDecisionId } },
      );
    },
  };
};
export type FixDecider = ReturnType<typeof createFixDecider>;
