import type { Drift } from '../../schema/reconcile/drift.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import { objectKey } from '../../schema/reconcile/object-ref.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import type { Plan } from '../../schema/reconcile/plan.ts';
import type { ReconcileRuleSpec, RuleTest } from '../../schema/resources/reconcile-rule.ts';
import { canonicalText } from '../canonical-text.ts';

export type DraftedRule =
  | { ok: true; spec: ReconcileRuleSpec }
  /** `other-objects`: it changes more than the object of the fault, which another fault does not name. `differs`: the fixes are not the same. */
  | { ok: false; reason: 'no-fix' | 'other-objects' | 'differs' };

const kinds: readonly Drift['kind'][] = ['missing', 'changed', 'added', 'extra', 'unhealthy', 'deleting'];
const mostTests = 8;

/**
 * The drift that a plan was made for, as far as its fingerprint tells: without the values of fields and the words of the observed system,
 * which nobody vouches for and a rule must not depend on.
 */
const driftOf = ({ plan, fingerprint, faultKind }: { plan: Plan; fingerprint: string; faultKind: string }): Drift | undefined => {
  const [kindWord, , ...rest] = faultKind.split(' ');
  const kind = kinds.find((one) => one === kindWord);
  const object = plan.steps.map(({ operation }) => operation.object).find((ref) => fingerprint === `${faultKind} @ ${objectKey(ref)}`);
  if (kind === undefined || object === undefined) return undefined;
  const words = rest.filter(Boolean);
  return {
    kind,
    object,
    fingerprint,
    faultKind,
    fields: words.filter((word) => word.startsWith('/')).map((path) => ({ path, manager: '' })),
    symptoms: words.filter((word) => !word.startsWith('/')).map((code) => ({ code, message: '', count: 1 })),
  };
};

/** An operation with the drift's object left open; undefined where it is about another. */
const openObject = (operation: ProposableOperation, drift: Drift): Record<string, unknown> & { op: string } => ({
  ...operation,
  object: objectKey(operation.object) === objectKey(drift.object) ? { $drift: '/object' } : operation.object,
});

const isOfDrift = (plan: Plan, drift: Drift): boolean =>
  plan.steps.every(({ operation }) => objectKey(operation.object) === objectKey(drift.object));

/**
 * A rule out of fixes that were the same and were right: it fits the same kind of fault at any object and does exactly what people approved.
 * It is a draft with the cases that it came from as its tests, and does nothing until a person has reviewed it.
 * @param fixes - verified, of one fault kind and one set of operations, newest first
 * @param normalDigest - of those operations
 */
export const draftRule = (fixes: readonly Fix[], normalDigest: string): DraftedRule => {
  const cases = fixes.flatMap((fix) => {
    const { plan, fingerprint, faultKind } = fix;
    const drift = plan && driftOf({ plan, fingerprint, faultKind });
    return plan && drift ? [{ fix, plan, drift }] : [];
  });
  const [first] = cases;
  if (first === undefined) return { ok: false, reason: 'no-fix' };
  if (!cases.every(({ plan, drift }) => isOfDrift(plan, drift))) return { ok: false, reason: 'other-objects' };
  const operationsOf = ({ plan, drift }: typeof first) => plan.steps.map(({ operation }) => openObject(operation, drift));
  const operations = operationsOf(first);
  if (cases.some((one) => canonicalText(operationsOf(one)) !== canonicalText(operations))) return { ok: false, reason: 'differs' };
  const { faultKind } = first.fix;
  const tests = cases.slice(0, mostTests).map(
    ({ fix, plan, drift }): RuleTest => ({
      name: `does what was approved in ${fix.id}`,
      drift,
      object: {},
      operations: plan.steps.map(({ operation }) => operation),
    }),
  );
  const other: Drift = {
    ...first.drift,
    faultKind: `${faultKind} elsewhere`,
    fingerprint: `${faultKind} elsewhere @ ${objectKey(first.drift.object)}`,
  };
  return {
    ok: true,
    spec: {
      description: `Drafted from ${cases.length} fixes that people approved and that held: ${faultKind}`.slice(0, 500),
      state: 'draft',
      // a string of JSON is one of CEL
      match: `drift.faultKind == ${JSON.stringify(faultKind)}`,
      operations,
      cap: { times: 2, withinSeconds: 3600 },
      origin: { faultKind, normalDigest, fixes: cases.slice(0, 64).map(({ fix }) => fix.id) },
      tests: [...tests, { name: 'leaves another fault alone', drift: other, object: {}, operations: [] }],
    },
  };
};
