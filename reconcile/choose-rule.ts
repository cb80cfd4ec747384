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
import type { WhyEscalate } from './what-now-types.ts';

/** A rule that people wrote; `matches` evaluates its CEL over the facts and is false on any error, which `failure` says. */
export type UserRule = {
  name: string;
  spec: ReconcileRuleSpec;
  matches: (facts: Record<string, unknown>) => boolean;
  failure?: (facts: Record<string, unknown>) => string | undefined;
};
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

/** What one rule says of one drift. `message` says what is wrong with a rule that failed; `in-vain`: what it would do was done without effect. */
export type JudgedRule = { rule: string } & (
  | { verdict: 'fits'; operations: ProposableOperation[] }
  | { verdict: 'off' | 'other-case' | 'no-match' | 'in-vain' | 'capped' }
  | { verdict: 'failed'; message: string }
);
export type RuleQuestion = {
  target: TargetOf;
  drift: Drift;
  observation: Observation;
  desired: Desired;
  rules: readonly UserRule[];
  fixes: readonly PastFix[];
  now: number;
  why?: WhyEscalate;
};

type Found = ProposableOperation[] | { message: string } | undefined;

/** What a rule of people would do, or why it cannot be told. */
const writtenFix = ({ spec, matches, failure }: UserRule, { drift, seen }: RuleFacts, { name, spec: { type } }: TargetOf): Found => {
  const facts = { drift, target: { name, type }, object: seen?.state ?? {} };
  if (!matches(facts)) {
    const message = failure?.(facts);
    return message === undefined ? undefined : { message: `its match cannot be evaluated: ${message}` };
  }
  return fillOperations(spec, drift) ?? { message: 'what it is filled with makes no operation that there is' };
};

/** What each rule says of a drift, in the order in which they are tried: for `reconcile explain`, and what `chooseRule` chooses from. */
export const judgeRules = ({ target, drift, observation, desired, rules, fixes, now, why }: RuleQuestion): JudgedRule[] => {
  if (observation.status !== 'read' || desired.status !== 'read') return [];
  const key = objectKey(drift.object);
  const seenOf = (object: string) => observation.objects.find(({ ref }) => objectKey(ref) === object);
  const earlier = fixesOf(fixes, drift.fingerprint);
  const facts: RuleFacts = {
    ...{ drift, observation, desired: desired.objects, earlier },
    declared: desired.objects.find(({ ref }) => objectKey(ref) === key),
    seen: seenOf(key),
  };
  const judge = (name: string, cap: Rule['cap'], find: () => Found): JudgedRule => {
    if (target.spec.rulesOff.some((off) => off === name)) return { rule: name, verdict: 'off' };
    const found = find();
    if (found === undefined) return { rule: name, verdict: 'no-match' };
    if (!Array.isArray(found)) return { rule: name, verdict: 'failed', ...found };
    const steps = found.map((operation) => asSeen(operation, seenOf));
    if (wasInVain({ fingerprint: drift.fingerprint, evidenceDigest: '', steps }, earlier)) return { rule: name, verdict: 'in-vain' };
    const uses = earlier.filter(
      ({ plan, beganAt }) =>
        plan?.source.kind === 'rule' && plan.source.rule === name && now - Date.parse(beganAt) < cap.withinSeconds * 1000,
    );
    return uses.length < cap.times ? { rule: name, verdict: 'fits', operations: found } : { rule: name, verdict: 'capped' };
  };
  const written = rules.map((rule): JudgedRule => {
    const { state, targets, cap } = rule.spec;
    if (state !== 'live' || (targets !== undefined && !targets.includes(target.name))) return { rule: rule.name, verdict: 'off' };
    if (why !== undefined) return { rule: rule.name, verdict: 'other-case' };
    return judge(rule.name, cap, () => writtenFix(rule, facts, target));
  });
  const builtIn = ruleCatalogue.map(({ name, cap, fix, after }): JudgedRule => {
    const isOfCase = why === undefined ? after === undefined : after?.includes(why) === true;
    return isOfCase ? judge(name, cap, () => fix(facts)) : { rule: name, verdict: 'other-case' };
  });
  return [...written, ...builtIn];
};

/**
 * The first rule that fits and is not used up: those of people before the built-in ones. What was done in vain is not done again while the
 * object is as it was.
 * @param question.now - milliseconds since the epoch
 * @param question.why - why it is to be escalated: then only rules for that are looked for, before anybody else is asked
 */
export const chooseRule = (question: RuleQuestion): ChosenRule => {
  const judged = judgeRules(question);
  const first = judged.find((one) => one.verdict === 'fits');
  if (first?.verdict === 'fits') return { ok: true, rule: first.rule, operations: first.operations };
  return { ok: false, reason: judged.some(({ verdict }) => verdict === 'capped') ? 'capped' : 'no-rule' };
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
