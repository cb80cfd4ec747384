import type { Drift } from '../schema/reconcile/drift.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired, Observation, ObservedObject } from '../schema/reconcile/observation.ts';
import { type ProposableOperation, ProposableOperationSchema, passiveOperations } from '../schema/reconcile/operation.ts';
import type { PlanStep } from '../schema/reconcile/plan.ts';
import type { ReconcileRuleSpec } from '../schema/resources/reconcile-rule.ts';
import { valueAt } from './json-pointer.ts';
import { fixesOf, type PastFix, wasInVain } from './past-fix.ts';
import { ruleCatalogue } from './rules/catalogue.ts';
import type { Rule, RuleFacts } from './rules/rule.ts';
import type { TargetOf } from './target-port.ts';
import type { WhyEscalate } from './what-now.ts';

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

/**
 * The first rule that fits and is not used up: those of people before the built-in ones. What was done in vain is not done again while the
 * object is as it was.
 * @param now - milliseconds since the epoch
 * @param why - why it is to be escalated: then only rules for that are looked for, before anybody else is asked
 */
export const chooseRule = ({
  target,
  drift,
  observation,
  desired,
  rules,
  fixes,
  now,
  why,
}: {
  target: TargetOf;
  drift: Drift;
  observation: Observation;
  desired: Desired;
  rules: readonly UserRule[];
  fixes: readonly PastFix[];
  now: number;
  why?: WhyEscalate;
}): ChosenRule => {
  if (observation.status !== 'read' || desired.status !== 'read') return { ok: false, reason: 'no-rule' };
  const key = objectKey(drift.object);
  const seenOf = (object: string) => observation.objects.find(({ ref }) => objectKey(ref) === object);
  const earlier = fixesOf(fixes, drift.fingerprint);
  const facts: RuleFacts = {
    ...{ drift, observation, desired: desired.objects, earlier },
    declared: desired.objects.find(({ ref }) => objectKey(ref) === key),
    seen: seenOf(key),
  };
  const written: Pick<Rule, 'name' | 'cap' | 'fix' | 'after'>[] = rules
    .filter(({ spec }) => spec.state === 'live' && (spec.targets === undefined || spec.targets.includes(target.name)))
    .map(({ name, spec, matches }) => ({
      name,
      cap: spec.cap,
      fix: ({ seen }: RuleFacts) =>
        matches({ drift, target: { name: target.name, type: target.spec.type }, object: seen?.state ?? {} })
          ? fillOperations(spec, drift)
          : undefined,
    }));
  const isTriedInVain = (operations: readonly ProposableOperation[]): boolean =>
    wasInVain(
      { fingerprint: drift.fingerprint, evidenceDigest: '', steps: operations.map((operation) => asSeen(operation, seenOf)) },
      earlier,
    );
  let isCapped = false;
  for (const { name, cap, fix, after } of [...written, ...ruleCatalogue]) {
    if (target.spec.rulesOff.some((off) => off === name) || (why === undefined ? after !== undefined : after?.includes(why) !== true))
      continue;
    const operations = fix(facts);
    if (operations === undefined || isTriedInVain(operations)) continue;
    const uses = earlier.filter(
      ({ plan, beganAt }) =>
        plan?.source.kind === 'rule' && plan.source.rule === name && now - Date.parse(beganAt) < cap.withinSeconds * 1000,
    );
    if (uses.length < cap.times) return { ok: true, rule: name, operations };
    isCapped = true;
  }
  return { ok: false, reason: isCapped ? 'capped' : 'no-rule' };
};

/** An operation with what would be its precondition, for the comparison with earlier ones. */
const asSeen = (
  operation: ProposableOperation,
  seenOf: (object: string) => ObservedObject | undefined,
): Pick<PlanStep, 'operation' | 'precondition'> => {
  const object = seenOf(objectKey(operation.object));
  if (passiveOperations.has(operation.op)) return { operation, precondition: { kind: 'none' } };
  if (object === undefined) return { operation, precondition: { kind: 'absent' } };
  return { operation, precondition: { kind: 'version', version: object.version, hash: object.hash, uid: object.uid } };
};
