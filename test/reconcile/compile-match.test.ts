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
    expect(refused.ok || refused.message).toContain('too long');
    expect(evaluate('object.list.exists(a, a == 19999)', many(20_000))).toEqual({ ok: true, value: true });
    const huge = { ...facts, object: { text: 'x'.repeat(5 * 1024 * 1024) } };
    expect(evaluate('object.text == "a"', huge).ok).toBe(false);
  });
});

/** Written to stop whoever evaluates it: each is short, passes the parser, and would take minutes, or all memory. */
describe('a match that is an attack', () => {
  const chain = (step: string, times: number, from: string) => `${from}${`.map(a, ${step})`.repeat(times)}`;
  const repeated = (count: number, item: unknown) => Array.from({ length: count }, () => item);
  const large = {
    ...facts,
    drift: { ...facts.drift, fields: repeated(500, { path: '/spec/a', observed: 'x'.repeat(100) }) },
    object: { text: 'ab'.repeat(100_000), list: repeated(20_000, 7) },
  };

  test.each([
    ['a list of itself, twice, over and over', `${chain('[a, a]', 100, '[1]')} == ${chain('[a, a]', 100, '[1]')}`],
    ['a list that doubles', `${chain('a + a', 200, '[[1, 1]]')}[0].exists(x, x == 2)`],
    ['a text that doubles', `${chain('a + a', 200, '["aaaa"]')}[0].contains("b")`],
    ['a map of itself', `${chain('{"l": a, "r": a}', 60, '[1]')} == ${chain('{"l": a, "r": a}', 60, '[1]')}`],
    ['all of it against all of it, for each of each', 'drift.fields.all(a, drift.fields.all(b, object == object))'],
    ['a long text, searched for each of each', 'drift.fields.all(a, drift.fields.all(b, !object.text.contains("abba")))'],
    ['a pattern for each of each', 'drift.fields.all(a, drift.fields.all(b, !object.text.matches("(a|b)*c$")))'],
    ['a pattern of patterns', 'object.text.matches("((((a{50}){50}){50}){50})")'],
    ['a pattern out of what is seen', 'object.text.matches(object.text)'],
    ['what is gathered one by one', 'object.list.map(a, a).map(a, a).exists(b, b == 8)'],
    ['what is filtered again and again', 'object.list.filter(a, a == 7).filter(a, a == 7).exists(b, b == 8)'],
    ['a text put together many times', `(${Array.from({ length: 250 }, () => 'object.text').join(' + ')}).contains("zz")`],
  ])('%s is refused at once', (_what, text) => {
    expect(text.length).toBeLessThanOrEqual(4096);
    const began = performance.now();
    expect(evaluate(text, large)).toEqual({ ok: false, message: expect.stringMatching(/too long|too deeply|repe/) });
    expect(performance.now() - began).toBeLessThan(1000);
  });

  test('is told from one that is only thorough', () => {
    const thorough =
      'drift.fields.exists(f, f.path.startsWith("/spec/") && f.observed.matches("^x+$")) && drift.fields.map(f, f.path).exists(p, p == "/spec/a")';
    expect(evaluate(thorough, large)).toEqual({ ok: true, value: true });
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
