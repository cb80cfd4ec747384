import { expect, test } from 'vitest';
import { withinTime } from '../../policy/within-time.ts';

const forEver = (): boolean => /^(a+)+$/.test(`${'a'.repeat(80)}!`);

test('work that is done in time is as if nobody watched: what it returns comes back, what it throws is thrown', () => {
  const value = { a: [1] };
  const done = withinTime(10_000, () => value);
  expect(done).toEqual({ ok: true, value });
  expect(done.ok && done.value).toBe(value);
  expect(() =>
    withinTime(10_000, () => {
      throw new TypeError('its own');
    }),
  ).toThrow(TypeError);
});

test('a pattern that takes for ever, and a loop without end, are broken off; what comes next works', () => {
  expect(withinTime(20, forEver)).toEqual({ ok: false });
  expect(
    withinTime(20, () => {
      for (;;);
    }),
  ).toEqual({ ok: false });
  expect(withinTime(10_000, () => withinTime(20, forEver))).toEqual({ ok: true, value: { ok: false } });
  expect(withinTime(10_000, () => 'next')).toEqual({ ok: true, value: 'next' });
});
