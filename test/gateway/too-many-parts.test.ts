import { expect, test } from 'vitest';
import { hasTooManyParts, mostParts } from '../../gateway/upstream/too-many-parts.ts';

const padding = 'x'.repeat(1024 * 1024);
const listOf = (part: string, count: number): string => `["${padding}",${`${part},`.repeat(count)}0]`;

test('objects and lists of a long text are counted, side by side and within each other', () => {
  expect(hasTooManyParts(listOf('{}', mostParts - 1))).toBe(false);
  expect(hasTooManyParts(listOf('{}', mostParts))).toBe(true);
  expect(hasTooManyParts(`"${padding}"${'['.repeat(mostParts + 1)}`)).toBe(true);
  expect(hasTooManyParts('[{'.repeat(mostParts / 2))).toBe(false);
});

test('what stands in strings is no part, whatever quotes are in them, and numbers are none', () => {
  const written = JSON.stringify(['{['.repeat(mostParts), `\\"${'{'.repeat(mostParts)}\\`, `"${'['.repeat(mostParts)}`]);
  expect(hasTooManyParts(written)).toBe(false);
  expect(hasTooManyParts(listOf('1', mostParts * 2))).toBe(false);
  // after a string that ends in a backslash the text goes on
  expect(hasTooManyParts(`["\\\\",${listOf('{}', mostParts)}]`)).toBe(true);
});
