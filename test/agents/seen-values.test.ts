import { expect, test } from 'vitest';
import { isPathName, looksLikePath } from '../../agents/path-names.ts';
import { seenValues } from '../../agents/seen-values.ts';
import { called, transcriptOf, treeOf } from './transcripts.ts';

test('collects paths and other texts from the leaves of the input', () => {
  const input = { root: '/input', note: 'be brief', deep: [{ file: 'src/a.ts' }, 7], empty: '' };
  expect(seenValues(transcriptOf({ input }))).toEqual({
    paths: ['/input', 'src/a.ts'],
    texts: [{ key: 'note', value: 'be brief' }],
    numbers: [7],
  });
});

test('joins the files of a directory tree to the folder of the call, without folders and empty folders', () => {
  const tree = JSON.stringify([
    { name: 'a.ts', type: 'file' },
    {
      name: 'src',
      type: 'directory',
      children: [
        { name: 'b.ts', type: 'file' },
        { name: 'none', type: 'directory', children: [] },
      ],
    },
    { name: 'closed', type: 'directory' },
  ]);
  const seen = seenValues(transcriptOf({}, called('directory_tree', { path: '/input/' }, tree)));
  expect(seen.paths).toEqual(['/input', '/input/a.ts', '/input/src/b.ts']);
});

test('takes lines that look like paths from a text, and the text itself', () => {
  const text = '/input/a.ts\nno path here\n  /input/b c.md\nhttps://example.org/x\nand/or\n/** a comment';
  const seen = seenValues(transcriptOf({}, called('search_files', { path: '/input' }, text)));
  expect(seen.paths).toEqual(['/input', '/input/a.ts', '/input/b c.md']);
  expect(seen.texts.map(({ value }) => value)).toEqual([text]);
});

test('takes the leaves of a JSON result', () => {
  const seen = seenValues(transcriptOf({}, called('find', {}, '{"hits":[{"path":"/input/x.ts","lines":3}],"title":"hello"}')));
  expect(seen.paths).toContain('/input/x.ts');
  expect(seen.numbers).toEqual([3]);
  expect(seen.texts).toEqual([{ key: 'title', value: 'hello' }]);
});

test('sees nothing in results that failed or were refused, and each value once', () => {
  const entries = [
    ...called('directory_tree', { path: '/etc' }, '/etc/shadow', 'refused'),
    ...called('directory_tree', { path: '/input' }, '/input/a.ts\n/input/a.ts'),
  ];
  expect(seenValues(transcriptOf({}, entries)).paths).toEqual(['/input', '/input/a.ts']);
});

test('is the same each time it is asked', () => {
  const transcript = transcriptOf({}, called('directory_tree', { path: '/input' }, treeOf(400)));
  expect(seenValues(transcript)).toEqual(seenValues(structuredClone(transcript)));
  expect(seenValues(transcript).paths).toHaveLength(401);
});

test('knows names and texts that mean paths', () => {
  expect(['path', 'filePaths', 'target_folder', 'source', 'fileName'].every(isPathName)).toBe(true);
  expect(['content', 'profile', 'empathy', 'kind'].some(isPathName)).toBe(false);
  expect(['/a', '/a b/c', './x/y.ts', 'src/a.ts'].every(looksLikePath)).toBe(true);
  expect(['', 'a', 'e.g.', '//host', 'http://x/y.ts', 'and/or', '/a\nb', `/${'x'.repeat(1100)}`].some(looksLikePath)).toBe(false);
});
