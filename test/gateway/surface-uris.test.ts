import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mappedUri, mapUris, parseMappedUri, unmapArguments, urisOf } from '../../gateway/surface/map-uris.ts';
import { matchesPatterns } from '../../gateway/surface/match-patterns.ts';
import { matchesTemplate } from '../../gateway/surface/match-template.ts';
import { parameterHeadersOf } from '../../gateway/surface/parameter-headers.ts';

describe('mapped URIs', () => {
  test('lead back to the source and its own URI, whatever the URI is', () => {
    fc.assert(
      fc.property(fc.constantFrom('one', 'a-b', 'default.all.one'), fc.string({ minLength: 1 }), (key, uri) => {
        expect(parseMappedUri(mappedUri(key, uri))).toEqual({ key, uri });
      }),
    );
    expect(parseMappedUri('file:///a')).toBeUndefined();
    expect(parseMappedUri('mcp+one')).toBeUndefined();
  });

  test('stand in contents, links and embedded resources of every result, and nowhere else', () => {
    const result = {
      contents: [{ uri: 'x:a', text: 'x:a' }],
      content: [
        { type: 'resource_link', uri: 'x:b', name: 'b' },
        { type: 'text', text: 'x:c' },
        { type: 'resource', resource: { uri: 'x:d', blob: '' } },
      ],
      messages: [
        { role: 'user', content: { type: 'resource', resource: { uri: 'x:e', text: '' } } },
        { role: 'user', content: [{ type: 'resource_link', uri: 'x:f' }] },
      ],
      structuredContent: { uri: 'x:g' },
    };
    expect([...urisOf(result)]).toEqual(['x:a', 'x:b', 'x:d', 'x:e', 'x:f']);
    const mapped = mapUris(result, (uri) => mappedUri('one', uri));
    expect([...urisOf(mapped)]).toEqual(['x:a', 'x:b', 'x:d', 'x:e', 'x:f'].map((uri) => `mcp+one+${uri}`));
    expect(mapped).toMatchObject({ structuredContent: { uri: 'x:g' }, content: [{}, { text: 'x:c' }, {}] });
    expect(mapUris(result, (uri) => uri)).toBe(result);
  });

  test('that a caller hands back reach the server in its own spelling, and those of others are left alone', () => {
    expect(unmapArguments('one', { uri: 'mcp+one+x:a', list: ['mcp+one+x:b', 'mcp+two+x:c'], n: 1 })).toEqual({
      uri: 'x:a',
      list: ['x:b', 'mcp+two+x:c'],
      n: 1,
    });
    const untouched = { uri: 'x:a', deep: [{ a: null }] };
    expect(unmapArguments('one', untouched)).toBe(untouched);
  });
});

describe('URI templates', () => {
  test.each<[string, string, boolean]>([
    ['test://template/{id}/data', 'test://template/123/data', true],
    ['test://template/{id}/data', 'test://template//data', false],
    ['test://template/{id}/data', 'test://template/1/2/data', false],
    ['test://template/{id}/data', 'test://template/123/data/more', false],
    ['file:///{+path}', 'file:///a/b/c.txt', true],
    ['file:///{path}', 'file:///a/b', false],
    ['x://{host}{/segments*}', 'x://h/a/b', true],
    ['x://{host}{/segments*}', 'x://h', true],
    ['x://search{?q,lang}', 'x://search?q=a&lang=en', true],
    ['x://search{?q,lang}', 'x://search', true],
    ['x://search{?q}{&page}', 'x://search?q=a&page=2', true],
    ['x://a{.ext}', 'x://a.json', true],
    ['x://a{#part}', 'x://a#b', true],
    ['x://a{;v}', 'x://a;v=1', true],
    ['x://{a}-{b}', 'x://1-2', true],
    ['x://{a}{b}', 'x://1', false],
    ['plain://text', 'plain://text', true],
    ['plain://text', 'plain://texts', false],
    ['x://{unclosed', 'x://{unclosed', true],
  ])('%s fits %s: %s', (template, uri, fits) => {
    expect(matchesTemplate(template, uri)).toBe(fits);
  });

  test('fit what they expand to', () => {
    const value = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [x, y] = [encodeURIComponent(a), encodeURIComponent(b)];
        expect(matchesTemplate('x://{a}/y/{b}{?c}', `x://${x}/y/${y}?c=${x}`)).toBe(true);
      }),
    );
  });

  test('of many variables take milliseconds, and not the years of trying all ways', () => {
    const began = performance.now();
    expect(matchesTemplate(`x://${'{+v}'.repeat(30)}z`, `x://${'a'.repeat(4000)}`)).toBe(false);
    expect(matchesPatterns([`${'*a'.repeat(40)}z`], 'a'.repeat(8000))).toBe(false);
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

test.each<[string[], string, boolean]>([
  [['file:///docs/*'], 'file:///docs/a/b', true],
  [['file:///docs/*'], 'file:///doc', false],
  [['*', '!*secret*'], 'x://a/secret/b', false],
  [['*', '!*secret*', 'x://a/secret/open'], 'x://a/secret/open', true],
  [['a*b*c'], 'a--b--c', true],
  [['a*b*c'], 'a--c--b', false],
  [['a*a'], 'a', false],
  [['exact'], 'exact', true],
])('the patterns %j let %s through: %s', (patterns, uri, isIn) => {
  expect(matchesPatterns(patterns, uri)).toBe(isIn);
});

describe('header annotations of a schema', () => {
  const read = (properties: object, rest: object = {}) => parameterHeadersOf({ type: 'object', properties, ...rest });

  test('are read at any depth below `properties`', () => {
    const nested = { place: { type: 'object', properties: { zone: { type: 'integer', 'x-mcp-header': 'Zone' } } } };
    expect(read({ ...nested, on: { type: 'boolean', 'x-mcp-header': 'On' } })).toEqual({
      ok: true,
      headers: [
        { header: 'mcp-param-zone', path: ['place', 'zone'], type: 'integer' },
        { header: 'mcp-param-on', path: ['on'], type: 'boolean' },
      ],
    });
  });

  test.each<[string, object, object?]>([
    ['an empty name', { a: { type: 'string', 'x-mcp-header': '' } }],
    ['a name with a line break', { a: { type: 'string', 'x-mcp-header': 'A\r\nB' } }],
    ['a name with a space', { a: { type: 'string', 'x-mcp-header': 'A B' } }],
    ['a number', { a: { type: 'number', 'x-mcp-header': 'A' } }],
    ['an array', { a: { type: 'array', 'x-mcp-header': 'A' } }],
    ['no type', { a: { 'x-mcp-header': 'A' } }],
    ['a name twice, in another case', { a: { type: 'string', 'x-mcp-header': 'A' }, b: { type: 'string', 'x-mcp-header': 'a' } }],
    ['a name that is no text', { a: { type: 'string', 'x-mcp-header': 3 } }],
    ['a place below `items`', { a: { type: 'array', items: { type: 'string', 'x-mcp-header': 'A' } } }],
    ['a place below `anyOf`', {}, { anyOf: [{ properties: { a: { type: 'string', 'x-mcp-header': 'A' } } }] }],
    ['a place below `$defs`', {}, { $defs: { a: { type: 'string', 'x-mcp-header': 'A' } } }],
  ])('with %s make the tool unusable', (_what, properties, rest) => {
    expect(read(properties, rest)).toMatchObject({ ok: false });
  });

  test('are not taken for a property that is called so', () => {
    expect(read({ 'x-mcp-header': { type: 'string' } })).toEqual({ ok: true, headers: [] });
  });
});
