import { expect, test } from 'vitest';
import { createPathTranslation } from '../../runtime/bare/translate-paths.ts';
import { parseExactly } from '../../schema/exact-json.ts';

const translation = createPathTranslation([
  { at: '/input', hostPath: '/data/in' },
  { at: '/output', hostPath: '/data/in/out put' },
]);

test('changes strings that are a cage path, at any depth, and no others', () => {
  expect(
    translation.toServer({ path: '/input/a', list: ['/output', '/inputs/a', 'see /input/a', 7, null], deep: { to: '/input' } }),
  ).toEqual({
    path: '/data/in/a',
    list: ['/data/in/out put', '/inputs/a', 'see /input/a', 7, null],
    deep: { to: '/data/in' },
  });
});

test('changes host paths inside texts back, the longest first, and only whole names', () => {
  expect(
    translation.fromServer({
      text: 'wrote /data/in/out put/r.md, read "/data/in/a"; not /data/input nor /x/data/in nor /data/in.old; /data/in.',
    }),
  ).toEqual({
    text: 'wrote /output/r.md, read "/input/a"; not /data/input nor /x/data/in nor /data/in.old; /input.',
  });
});

test('leaves numbers as they were written', () => {
  const text = '{"path":"/x","id":9007199254740993,"list":[1e999,2]}';
  for (const change of [translation.toServer, translation.fromServer]) expect(JSON.stringify(change(parseExactly(text)))).toBe(text);
});

test('without folders changes nothing', () => {
  const none = createPathTranslation([]);
  expect(none.fromServer(none.toServer({ path: '/input' }))).toEqual({ path: '/input' });
});
