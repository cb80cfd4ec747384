import { expect, test } from 'vitest';
import { parseExactly } from '../../schema/exact-json.ts';
import { canonicalJson } from '../../store/resources.ts';

const long = '9007199254740993';

test('a number that is kept as it was written has a digest of its own', () => {
  expect(canonicalJson(parseExactly(`{"b":1,"a":[${long}]}`))).toBe(`{"a":[${long}],"b":1}`);
  expect(canonicalJson(parseExactly(long))).not.toBe(canonicalJson({ rawJSON: long }));
});
