import { expect, test } from 'vitest';
import { expandTemplate } from '../../gateway/surface/expand-template.ts';

const values = { id: 'a/b', path: '/x y', word: 'w' };

test.each([
  ['note:///{id}', 'note:///a%2Fb'],
  ['note:///{+path}', 'note:////x%20y'],
  ['n://h{/id}{?word,none}', 'n://h/a%2Fb?word=w'],
  ['n://h{/word,id}{&word}{#id}', 'n://h/w/a%2Fb&word=w#a/b'],
  ['n://h/{word:1}{.word*}{;word}', 'n://h/w.w;word=w'],
  ['n://{none}/x', 'n:///x'],
])('%s leads to %s', (template, uri) => {
  expect(expandTemplate(template, values).uri).toBe(uri);
});

test('says which values have no place, and leaves what is encoded already as it is', () => {
  expect(expandTemplate('f:///{+path}', { path: 'a%2e%2e', other: 'b' })).toEqual({ uri: 'f:///a%2e%2e', unused: { other: 'b' } });
});
