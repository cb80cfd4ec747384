import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kindOfName, lexicalFacts } from '../../policy/argument-facts.ts';

describe('facts of arguments', () => {
  test('collects paths by the names of arguments, nested ones and lists too', () => {
    const facts = lexicalFacts({
      path: '/input/a.ts',
      options: { sourceFile: '/input/b.ts' },
      paths: ['/input/c.ts', '/input/a.ts'],
      content: '/etc/passwd',
    });
    expect(facts.paths).toEqual(['/input/a.ts', '/input/b.ts', '/input/c.ts']);
    expect(facts.canonical).toBe(true);
  });

  test.each([
    '/input/../etc/passwd',
    '/input/..',
    '..',
    './a',
    '/input//a',
    '/input/%2e%2e/a',
    '/input/%2E%2e/a',
    '/input/a%2fb',
    '/input/a%00',
    '\\input\\a',
    '/input/a\\..\\b',
    '~/secret',
    '/input/a\u0000b',
    '/input/a\nb',
    '/input/cafe\u0301',
    'file:///input/%2e%2e/etc/passwd',
    '',
  ])('calls the path %j not canonical', (path) => {
    expect(lexicalFacts({ path }).canonical).toBe(false);
  });

  test.each(['/input/a.ts', '/input/..a', '/input/a..b', '/input/caf\u00e9', '/', '/input/', 'src/a.ts'])(
    'calls the path %j canonical',
    (path) => {
      expect(lexicalFacts({ path }).canonical).toBe(true);
    },
  );

  test('sees no canonical path among those that hold a dot-dot segment, however they are put together', () => {
    const segment = fc.constantFrom('a', 'input', '.hidden', 'x.y');
    fc.assert(
      fc.property(
        fc.array(segment),
        fc.array(segment),
        (before, after) => lexicalFacts({ path: `/${[...before, '..', ...after].join('/')}` }).canonical === false,
      ),
    );
  });

  test('folds URLs to one spelling and names their hosts', () => {
    const facts = lexicalFacts({ url: 'https://example.org/a', endpoint: 'http://127.0.0.1:80/' });
    expect(facts.hosts).toEqual(['127.0.0.1', 'example.org']);
    expect(facts.urls).toContain('https://example.org/a');
  });

  test.each([
    'http://0x7f.1/',
    'http://user:pw@example.org/',
    'https://example.org/../a',
    'http:\\\\example.org',
    'https://evil.example./',
    'file://host/etc/passwd',
    'not a url',
    'http://2130706433/',
  ])('calls the URL %j not canonical', (url) => {
    expect(lexicalFacts({ url }).canonical).toBe(false);
  });

  test('names a host without the dot that makes it look like another', () => {
    expect(lexicalFacts({ url: 'https://evil.example./x', host: 'evil.example.' })).toMatchObject({
      hosts: ['evil.example'],
      canonical: false,
    });
  });

  test('shows the address behind an odd spelling as the host', () => {
    expect(lexicalFacts({ url: 'http://0x7f.1/' }).hosts).toEqual(['127.0.0.1']);
  });

  test('lets the server say what an argument is, against its name', () => {
    expect(lexicalFacts({ target: '/etc/passwd' }).paths).toEqual([]);
    expect(lexicalFacts({ target: '/etc/passwd' }, { target: 'path' }).paths).toEqual(['/etc/passwd']);
    expect(lexicalFacts({ path: '../x' }, { path: 'text' })).toMatchObject({ paths: [], canonical: true });
  });

  test('knows kinds by the words of a name', () => {
    expect([
      kindOfName('filePath'),
      kindOfName('file_path'),
      kindOfName('baseUrl'),
      kindOfName('hostname'),
      kindOfName('profile'),
      kindOfName('content'),
    ]).toEqual(['path', 'path', 'url', 'host', 'text', 'text']);
  });
});
