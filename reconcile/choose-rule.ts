import type { Drift } from '../schema/reconcile/drift.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired, Observation } from '../schema/reconcile/observation.ts';
import { type ProposableOperation, ProposableOperationSchema } from '../schema/reconcile/operation.ts';
import type { ReconcileRuleSpec } from '../schema/resources/reconcile-rule.ts';
import { valueAt } from './json-pointer.ts';
import type { PastFix } from './past-fix.ts';
import { ruleCatalogue } from './rules/catalogue.ts';
import type { RuleFacts } from './rules/rule.ts';
import type { TargetOf } from './target-port.ts';

/** A rule that people wrote; `matches` evaluates its CEL over the facts and is false on any error. */
export type UserRule = { name: string; spec: ReconcileRuleSpec; matches: (facts: Record<string, unknown>) => boolean };
export type ChosenRule = { ok: true; rule: string; operations: ProposableOperation[] } | { ok: false; reason: 'no-rule' | 'capped' };

const fill = (template: unknown, drift: Drift): unknown => {
  if (Array.isArray(template)) return template.map((item) => fill(item, drift));
  if (typeof template !== 'object' || template === null) return template;
  const entries = Object.entries(template);
  const [only] = entries;
  if (entries.length === 1 && only?.[0] === '$drift' && typeof only[1] === 'string')
    return only[1].startsWith('/') ? valueAt(drift, only[1]) : valueAt(drift, `/${only[1]}`);
  return Object.fromEntries(entries.map(([name, value]) => [name, fill(value, drift)]));
};

/** Operations of a rule for one drift, or undefined where what it is filled with makes none that there is. */
export const fillOperations = ({ operations }: ReconcileRuleSpec, drift: Drift): ProposableOperation[] | undefined => {
  const parsed = operations.map((operation) => ProposableOperationSchema.safeParse(fill(operation, drift)));
  return parsed.every(({ success }) => success) ? parsed.flatMap(({ data }) => (data === undefined ? [] : [data])) : undefined;
};

/** The first rule that fits and is not used up: those of people before the built-in ones. @param now - milliseconds since the epoch */
export const chooseRule = ({
  target,
  drift,
  observation,
  desired,
  rules,
  fixes,
  now,
}: {
  target: TargetOf;
  drift: Drift;
  observation: Observation;
  desired: Desired;
  rules: readonly UserRule[];
  fixes: readonly PastFix[];
  now: number;
}): ChosenRule => {
  if (observation.status !== 'read' || desired.status !== 'read') return { ok: false, reason: 'no-rule' };
  const key = objectKey(drift.object);
  const facts: RuleFacts = {
    drift,
    observation,
    declared: desired.objects.find(({ ref }) => objectKey(ref) === key),
    seen: observation.objects.find(({ ref }) => objectKey(ref) === key),
  };
  const written = rules
    .filter(({ spec }) => spec.state === 'live' && (spec.targets === undefined || spec.targets.includes(target.name)))
    .map(({ name, spec, matches }) => ({
      name,
      cap: spec.cap,
      fix: ({ seen }: RuleFacts) =>
        matches({ drift, target: { name: target.name, type: target.spec.type }, object: seen?.state ?? {} })
          ? fillOperations(spec, drift)
          : undefined,
    }));
  let isCapped = false;
  for (const { name, cap, fix } of [...written, ...ruleCatalogue]) {
    if (target.spec.rulesOff.some((off) => off === name)) continue;
    const operations = fix(facts);
    if (operations === undefined) continue;
    const uses = fixes.filter(
      ({ fingerprint, plan, beganAt }) =>
        fingerprint === drift.fingerprint &&
        plan?.source.kind === 'rule' &&
        plan.source.rule === name &&
        now - Date.parse(beganAt) < cap.withinSeconds * 1000,
    );
    if (uses.length < cap.times) return { ok: true, rule: name, operations };
    isCapped = true;
  }
  return { ok: false, reason: isCapped ? 'capped' : 'no-rule' };
};
