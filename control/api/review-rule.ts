import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { DeclaredRuleView } from '../../schema/reconcile/rule-view.ts';
import type { ReconcileRuleSpec } from '../../schema/resources/reconcile-rule.ts';
import { digestOfText } from '../../store/exact-call.ts';
import type { Person } from '../../store/people.ts';
import { changeRule } from '../../store/reconcile-learning.ts';
import { canonicalJson, findResource } from '../../store/resources.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import { redTests } from './check-rule.ts';
import { inTransaction } from './in-transaction.ts';
import { recordChange } from './record-change.ts';

export const ruleDigest = (spec: ReconcileRuleSpec): string => digestOfText(canonicalJson(spec));

export const declaredRuleView = (name: string, spec: ReconcileRuleSpec): DeclaredRuleView => ({
  origin: spec.origin === undefined ? 'declared' : 'learned',
  name,
  description: spec.description ?? '',
  cap: spec.cap,
  spec,
  digest: ruleDigest(spec),
  red: redTests(spec),
});

/** @throws {PlatformError} `not_found` */
export const getRule = async (
  { database }: Pick<ApiDependencies, 'database'>,
  key: Tenancy & { name: string },
): Promise<ReconcileRuleSpec> => {
  const found = await findResource(database, { ...key, kind: 'ReconcileRule' });
  if (found) return found.spec;
  throw new PlatformError(
    'not_found',
    `There is no ReconcileRule ${key.name} in ${key.org}/${key.project}; built-in rules are neither promoted nor demoted.`,
  );
};

type Review = { state: 'live'; digest: string } | { state: 'demoted'; reason: string };

/**
 * Lets a rule act, or takes it back, for a person: what they looked at and nothing else, and live only with tests that hold.
 * @throws {PlatformError} `not_found`; `conflict` where the rule is another one by now, or is so already; `resource_invalid` for red tests
 */
export const reviewRule = async (
  dependencies: Pick<ApiDependencies, 'database' | 'audit'>,
  person: Person,
  decision: ApiDecision,
  key: Tenancy & { name: string },
  review: Review,
): Promise<DeclaredRuleView> => {
  await getRule(dependencies, key);
  const { database, audit } = dependencies;
  return inTransaction(database, async (within) => {
    const changed = await changeRule(
      within,
      key,
      (spec) => {
        if (spec.state === review.state) throw new PlatformError('conflict', `The rule ${key.name} is ${spec.state} already.`);
        if (review.state === 'demoted') return { ...spec, state: 'demoted', demotedBy: `${person.id}: ${review.reason}` };
        if (ruleDigest(spec) !== review.digest)
          throw new PlatformError(
            'conflict',
            `The rule ${key.name} is not what you looked at any more; look again (\`quarterdeck reconcile rules show ${key.name}\`).`,
          );
        const [red] = redTests(spec);
        if (red !== undefined) throw new PlatformError('resource_invalid', `The rule ${key.name} does not go live: ${red}.`);
        const { demotedBy: _demotedBy, ...rest } = spec;
        return { ...rest, state: 'live' };
      },
      person.id,
    );
    if (!changed) throw new PlatformError('not_found', `The rule ${key.name} was deleted a moment ago.`);
    await recordChange(audit, within, key, person, decision, {
      action: review.state === 'live' ? 'promoteRule' : 'demoteRule',
      resource: `ReconcileRule/${key.name}`,
      facts: { state: review.state, ...(review.state === 'live' ? { digest: review.digest } : { reason: review.reason }) },
    });
    return declaredRuleView(key.name, changed);
  });
};
