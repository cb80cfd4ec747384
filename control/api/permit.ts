import { freshLoginSeconds, loginRules } from '../../policy/platform-policies.ts';
import { PlatformError } from '../../schema/errors.ts';
import { defaultTenancy, type Tenancy } from '../../schema/ids.ts';
import type { Person } from '../../store/people.ts';
import type { ApiAction, ApiDecision, ApiDependencies, ApiTarget } from './api-dependencies.ts';
import { newDecisionId } from './new-decision-id.ts';
import { contextFacts, recordBasis } from './record-basis.ts';

export type Permit = (person: Person, action: ApiAction, tenancy: Tenancy, target?: ApiTarget) => Promise<ApiDecision>;

const foreignOrg = (): ApiDecision => ({
  effect: 'deny',
  decisionId: newDecisionId(),
  policies: ['platform/same-org'],
});

/**
 * Asks the policy, and writes a refusal into the audit before the caller hears of it.
 * Whoever belongs to another org is refused before any policy is asked.
 * @returns the decision, an `allow`
 * @throws {PlatformError} `not_permitted`; `login_stale` where nothing but a fresh login is missing
 */
export const createPermit =
  ({ database, audit, authorize }: Pick<ApiDependencies, 'database' | 'audit' | 'authorize'>): Permit =>
  async (person, action, tenancy, target) => {
    const isOwnOrg = person.org === tenancy.org;
    const decision = isOwnOrg ? await authorize(person, action, tenancy, target) : foreignOrg();
    if (decision.effect === 'allow') return decision;
    const { decisionId, policies, policyVersion } = decision;
    const rowTenancy = isOwnOrg ? tenancy : { org: person.org, project: defaultTenancy.project };
    const isStale = policies.length > 0 && policies.every((policy) => loginRules.has(policy));
    const resource = target ? `${target.kind}/${target.name}` : null;
    await audit.append(database, [
      {
        // a refusal of somebody from elsewhere is on record where they come from, and costs the other org nothing
        ...rowTenancy,
        kind: 'refusal',
        action,
        decision: 'deny',
        decisionId,
        policies,
        policyVersion: policyVersion ?? null,
        person: person.id,
        resource,
        outcome: 'refused',
        errorCode: isStale ? 'login_stale' : 'not_permitted',
        stamp: person.stamp,
        basis: await recordBasis(database, rowTenancy, decision),
        facts: contextFacts(decision),
      },
    ]);
    if (isStale) {
      const level = policies.includes('platform/strong-login') ? target?.approval?.acr : undefined;
      const [by, how] = level === undefined ? ['', ''] : [` by two things or more (\`acr\` ${level})`, ` --acr ${level}`];
      throw new PlatformError(
        'login_stale',
        `${person.id}: this takes a login of the last ${freshLoginSeconds / 60} minutes${by}; run \`quarterdeck login --fresh${how}\`, and then the same again (decision ${decisionId}).`,
        { facts: { decisionId, maxAgeSeconds: freshLoginSeconds, ...(level === undefined ? {} : { acr: level }) } },
      );
    }
    const what = target ? `${target.kind} ${target.name} of ${tenancy.org}/${tenancy.project}` : `${tenancy.org}/${tenancy.project}`;
    const refused = policies.length > 0 ? `forbidden by ${policies.join(', ')}` : 'no policy allows it';
    const why = decision.lacking === undefined ? refused : `that needs ${decision.lacking}, and ${refused}`;
    const { advice } = decision;
    throw new PlatformError(
      'not_permitted',
      `${person.id} may not ${action} on ${what}: ${why} (decision ${decisionId}).${advice === undefined ? '' : ` ${advice}`}`,
      { facts: { decisionId, ...(advice === undefined ? {} : { advice }) } },
    );
  };
