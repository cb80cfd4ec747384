import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maskKnownValues } from '../../../reconcile/evidence/known-values.ts';

const mask = (values: readonly string[], text: string): string => maskKnownValues(values, '***')(text);

describe('known values in a text', () => {
  test.each([
    ['each of them', ['hunter2-x', 'another-y'], 'a hunter2-x, hunter2-x and another-y', 'a ***, *** and ***'],
    ['the longest that fits', ['secret-1', 'secret-123'], 'secret-12345 secret-1', '***45 ***'],
    ['over several lines', [`-----BEGIN\n${'k'.repeat(900)}\nEND-----`], `x -----BEGIN\n${'k'.repeat(900)}\nEND----- y`, 'x *** y'],
    ['nothing shorter than six characters', ['abc'], 'abc abc', 'abc abc'],
    ['nothing of an empty text', ['hunter2-x'], '', ''],
  ])('%s', (_what, values, text, masked) => {
    expect(mask(values, text)).toBe(masked);
  });

  test('none is left, whatever the values and the text', () => {
    const word = fc.stringMatching(/^[ab"]{0,9}$/);
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), fc.array(word, { maxLength: 30 }), (values, words) => {
        const left = mask(values, words.join(''));
        for (const value of values.filter(({ length }) => length >= 6)) expect(left).not.toContain(value);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['very many', Array.from({ length: 200_000 }, (_, index) => `v-${index}-${'x'.repeat(20)}`)],
    ['many that begin alike', Array.from({ length: 50_000 }, (_, index) => `${'a'.repeat(300)}${index}`)],
    ['some that begin alike and are long', Array.from({ length: 4 }, (_, index) => `${'a'.repeat(200_000)}${index}`)],
    ['some that nearly fit everywhere', Array.from({ length: 4 }, (_, index) => `${'a'.repeat(30)}${index}`)],
  ])('are looked for in no time to speak of, be they %s', (_what, values) => {
    const find = maskKnownValues(values, '***');
    const began = performance.now();
    find('a'.repeat(256 * 1024));
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
