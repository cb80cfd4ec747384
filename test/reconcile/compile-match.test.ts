import { describe, expect, test } from 'vitest';
import { judgeRules } from '../../reconcile/choose-rule.ts';
import { compileMatch } from '../../reconcile/rules/compile-match.ts';
import { userRuleOf } from '../../reconcile/rules/user-rule.ts';
import { ReconcileRuleSpecSchema } from '../../schema/resources/reconcile-rule.ts';
import { desired, now, objectOf, seen, targetOf, web } from './support.ts';

const facts = {
  drift: {
    kind: 'unhealthy',
    faultKind: 'unhealthy Deployment OOMKilled',
    symptoms: [{ code: 'OOMKilled', message: 'a "quoted" word\n' }],
    fields: [],
  },
  target: { name: 'shop', type: 'kubernetes' },
  object: { spec: { replicas: 3, paused: null } },
};
const evaluate = (text: string, given: Record<string, unknown> = facts) => {
  const compiled = compileMatch(text);
  if (!compiled.ok) throw new Error(compiled.message);
  return compiled.evaluate(given);
};

describe('a match', () => {
  test.each([
    ['drift.kind == "unhealthy" && target.type == "kubernetes"', true],
    [`drift.faultKind == ${JSON.stringify(facts.drift.faultKind)}`, true],
    ['drift.symptoms.exists(one, one.code == "OOMKilled" && one.message.contains("quoted"))', true],
    ['object.spec.replicas > 2 && object.spec.paused == null', true],
    ['has(object.spec.strategy)', false],
    ['size(drift.fields) > 0', false],
    ['drift.kind in ["missing", "extra"]', false],
    ['drift.kind.matches("^(u|n)+h")', true],
  ])('%s', (text, value) => {
    expect(evaluate(text)).toEqual({ ok: true, value });
  });

  test('that cannot be read is refused with its place', () => {
    expect(compileMatch('drift.kind ==')).toMatchObject({ ok: false, line: 1, column: 12 });
    expect(compileMatch('drift.kind == "a"\n  && &&')).toMatchObject({ ok: false, line: 2 });
    expect(compileMatch(`${'('.repeat(4000)}true${')'.repeat(4000)}`)).toEqual({ ok: false, message: 'it nests too deeply' });
  });

  test.each([
    ['drfit.kind == "a"', 'drfit'],
    ['drift.symptoms.exists(one, two.code == "x")', 'two'],
    ['drift.kind.beginsWith("a")', 'beginsWith'],
    ['drift.symptoms.all(a, drift.symptoms.all(b, drift.symptoms.all(c, a == b)))', 'more than 2 deep'],
  ])('%s is refused before it is ever evaluated', (text, word) => {
    const compiled = compileMatch(text);
    expect(compiled).toMatchObject({ ok: false });
    expect(!compiled.ok && compiled.message).toContain(word);
  });

  test.each([
    ['object.spec.strategy.type == "x"', 'strategy'],
    ['drift.kind', 'neither true nor false'],
    ['drift.kind > 3', ''],
    ['drift.kind.matches("(")', 'regexp'],
    ['1 / size(drift.fields) == 1', 'zero'],
  ])('%s is an error, and that is said', (text, word) => {
    const matched = evaluate(text);
    expect(matched.ok).toBe(false);
    expect(!matched.ok && matched.message).toContain(word);
  });

  test('of a pattern is linear in what it is held against, whatever that says', () => {
    const hostile = { ...facts, drift: { ...facts.drift, kind: `${'a'.repeat(100_000)}!` } };
    expect(evaluate('drift.kind.matches("^(a+)+$")', hostile)).toEqual({ ok: true, value: false });
  });

  test('that would take too long over what is seen is an error at once, and over less is evaluated', () => {
    const many = (count: number) => ({ ...facts, object: { list: Array.from({ length: count }, (_, index) => index) } });
    const nested = 'object.list.all(a, object.list.exists(b, b == a))';
    expect(evaluate(nested, many(100))).toEqual({ ok: true, value: true });
    const began = performance.now();
    const refused = evaluate(nested, many(20_000));
    expect(performance.now() - began).toBeLessThan(1000);
    expect(refused.ok || refused.message).toContain('2 deep, of up to 20000 items');
    expect(evaluate('object.list.exists(a, a == 19999)', many(20_000))).toEqual({ ok: true, value: true });
    const huge = { ...facts, object: { text: 'x'.repeat(5 * 1024 * 1024) } };
    expect(evaluate('object.text == "a"', huge).ok).toBe(false);
  });
});

describe('a rule of people', () => {
  const drift = {
    kind: 'unhealthy',
    object: web,
    fields: [],
    symptoms: [{ code: 'Stuck', message: '', count: 1 }],
    fingerprint: 'f',
    faultKind: 'k',
  } as const;
  const ruleOf = (match: string, more: object = {}) =>
    userRuleOf('own', ReconcileRuleSpecSchema.parse({ match, operations: [{ op: 'restart', object: { $drift: 'object' } }], ...more }));
  const judge = (rule: ReturnType<typeof ruleOf>, target = targetOf()) =>
    judgeRules({
      target,
      drift: { ...drift, fields: [], symptoms: [...drift.symptoms] },
      observation: seen(objectOf()),
      desired,
      rules: [rule],
      fixes: [],
      now,
    })[0];
  const fits = 'drift.symptoms.exists(one, one.code == "Stuck")';

  test('that fits says what it does, before the built-in ones', () => {
    expect(judge(ruleOf(fits))).toEqual({ rule: 'own', verdict: 'fits', operations: [{ op: 'restart', object: web }] });
  });

  test.each([
    ['does not fit', ruleOf('drift.kind == "extra"'), { verdict: 'no-match' }],
    ['fails', ruleOf('object.spec.nothing.here == 1'), { verdict: 'failed', message: expect.stringContaining('cannot be evaluated') }],
    [
      'says neither true nor false',
      ruleOf('drift.kind'),
      { verdict: 'failed', message: expect.stringContaining('neither true nor false') },
    ],
    ['cannot be compiled', ruleOf('drift.kind =='), { verdict: 'failed' }],
    [
      'makes no operation',
      ruleOf(fits, { operations: [{ op: 'scale', object: { $drift: 'object' }, replicas: { $drift: '/kind' } }] }),
      { verdict: 'failed', message: expect.stringContaining('no operation') },
    ],
    ['is a draft', ruleOf(fits, { state: 'draft' }), { verdict: 'off' }],
    ['is demoted', ruleOf(fits, { state: 'demoted' }), { verdict: 'off' }],
    ['is for another target', ruleOf(fits, { targets: ['other'] }), { verdict: 'off' }],
  ])('that %s does nothing, and that is said', (_what, rule, verdict) => {
    expect(judge(rule)).toMatchObject({ rule: 'own', ...verdict });
  });

  test('that a target has turned off does nothing there', () => {
    expect(judge(ruleOf(fits), targetOf({ rulesOff: ['own'] }))).toMatchObject({ verdict: 'off' });
  });
});
