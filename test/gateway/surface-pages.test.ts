import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createPager, pageSize } from '../../gateway/surface/page-list.ts';

const key = Buffer.alloc(32, 1);
const pageOf = createPager(key);
const listOf = (length: number) => Array.from({ length }, (_, index) => ({ name: `item-${index}` }));
const items = listOf(2 * pageSize + 5);

test('a short list is one page', () => {
  const short = listOf(3);
  expect(pageOf(short, '/mcp tools/list', undefined)).toEqual({ items: short });
});

test('a long list comes whole and in order, page by page, at any replica', () => {
  const seen: object[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    // each page from another process, which has made the list anew
    const page = createPager(key)(listOf(items.length), '/mcp tools/list', cursor);
    seen.push(...page.items);
    cursor = page.nextCursor;
    pages += 1;
  } while (cursor !== undefined);
  expect(pages).toBe(3);
  expect(seen).toEqual(items);
});

test.each<[string, (cursor: string) => [typeof items, string, unknown]]>([
  ['another endpoint or method', (cursor) => [items, '/mcp prompts/list', cursor]],
  ['a list that has changed', (cursor) => [[...items.slice(1), { name: 'new' }], '/mcp tools/list', cursor]],
  ['a list that became short', (cursor) => [listOf(2), '/mcp tools/list', cursor]],
  ['a changed letter', (cursor) => [items, '/mcp tools/list', `${cursor[0] === 'A' ? 'B' : 'A'}${cursor.slice(1)}`]],
  ['something behind it', (cursor) => [items, '/mcp tools/list', `${cursor}A`]],
  ['a number', () => [items, '/mcp tools/list', 1000]],
  ['no text at all', () => [items, '/mcp tools/list', '']],
])('a cursor is not good for %s', (_what, misuse) => {
  const { nextCursor = '' } = pageOf(items, '/mcp tools/list', undefined);
  expect(() => pageOf(...misuse(nextCursor))).toThrow(/cursor/);
});

test('no made-up cursor is one', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.base64String(),
        fc.uint8Array({ maxLength: 24 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
      ),
      (cursor) => {
        expect(() => pageOf(items, '/mcp tools/list', cursor)).toThrow(/cursor/);
      },
    ),
  );
});
