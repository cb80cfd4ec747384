import { expect, test } from 'vitest';
import { fillOperations } from '../../../reconcile/choose-rule.ts';
import { draftRule } from '../../../reconcile/learning/draft-rule.ts';
import { countRepeats, isLearnt } from '../../../reconcile/learning/judge-repeats.ts';
import { testRule } from '../../../reconcile/learning/test-rule.ts';
import type { ProposableOperation } from '../../../schema/reconcile/operation.ts';
import { ReconcileRuleSpecSchema } from '../../../schema/resources/reconcile-rule.ts';
import { approvedFix, probeOf, probesMoved } from './approved-fix.ts';

/** What CEL would say of a draft's `match`, which is one comparison. */
const matchesFaultKind = (faultKind: string) => (facts: Record<string, unknown>) =>
  (facts.drift as { faultKind: string }).faultKind === faultKind;

test('a draft does at any object what people approved at some, and its own tests hold', () => {
  const fixes = ['web', 'api', 'mail'].map((name) => approvedFix({ name }));
  const drafted = draftRule(fixes, 'same');
  if (!drafted.ok) throw new Error(drafted.reason);
  const spec = ReconcileRuleSpecSchema.parse(drafted.spec);
  expect(spec).toMatchObject({
    state: 'draft',
    origin: { faultKind: probesMoved, normalDigest: 'same', fixes: fixes.map(({ id }) => id) },
  });
  expect(spec.match).toBe(`drift.faultKind == "${probesMoved}"`);
  const results = testRule(spec, matchesFaultKind(probesMoved), { name: 'shop', type: 'kubernetes' });
  expect(results.map(({ ok }) => ok)).toEqual([true, true, true, true]);
  const elsewhere = { ...(spec.tests[0]?.drift as never as object), object: { ...probeOf('new').object } };
  expect(fillOperations(spec, elsewhere as never)).toEqual([probeOf('new')]);
});

test('a test of a rule that does something else is red, with both sides', () => {
  const drafted = draftRule([approvedFix({ name: 'web' })], 'same');
  if (!drafted.ok) throw new Error(drafted.reason);
  const spec = ReconcileRuleSpecSchema.parse({ ...drafted.spec, operations: [{ op: 'restart', object: { $drift: '/object' } }] });
  const [first] = testRule(spec, matchesFaultKind(probesMoved), { name: 'shop', type: 'kubernetes' });
  expect(first).toMatchObject({ ok: false });
  expect(first?.got).toContain('restart');
  expect(first?.wanted).toContain('setProbe');
});

test('fixes that touch other objects than the faulty one, or are not the same, make no rule', () => {
  const other: ProposableOperation = { op: 'restart', object: { ...probeOf('db').object } };
  expect(draftRule([approvedFix({ name: 'web', operations: [probeOf('web'), other] })], 'same')).toEqual({
    ok: false,
    reason: 'other-objects',
  });
  const moved = approvedFix({ name: 'api', operations: [{ ...probeOf('api'), port: 9999 } as ProposableOperation] });
  expect(draftRule([approvedFix({ name: 'web' }), moved], 'same')).toEqual({ ok: false, reason: 'differs' });
  expect(draftRule([], 'same')).toEqual({ ok: false, reason: 'no-fix' });
});

test('five fixes by two people on three targets are learnt; fewer of any, or one taken back, are not', () => {
  const repeats = (targets: string[], people: string[]) =>
    targets.map((target, index) => approvedFix({ name: `n${index}`, target, people: [people[index % people.length] as string] }));
  const learnt = (fixes: ReturnType<typeof repeats>) => isLearnt(countRepeats(fixes));
  const enough = repeats(['a', 'a', 'b', 'b', 'c'], ['ann', 'bob']);
  expect(learnt(enough)).toBe(true);
  expect(learnt(enough.slice(1))).toBe(false);
  expect(learnt(repeats(['a', 'a', 'b', 'b', 'c'], ['ann']))).toBe(false);
  expect(learnt(repeats(['a', 'a', 'b', 'b', 'b'], ['ann', 'bob']))).toBe(false);
  for (const state of ['rolled-back', 'ineffective', 'frozen'] as const)
    expect(learnt([...enough, approvedFix({ name: 'x', state })])).toBe(false);
  // what a rule did, and what nobody approved, teach nothing
  expect(learnt([...enough.slice(1), approvedFix({ name: 'x', people: [] })])).toBe(false);
  expect(learnt([...enough.slice(1), approvedFix({ name: 'x', source: { kind: 'rule', rule: 'r' } })])).toBe(false);
});
