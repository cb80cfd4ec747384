import { describe, expect, test } from 'vitest';
import { compileMatch } from '../../reconcile/rules/compile-match.ts';

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
});
