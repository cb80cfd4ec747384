import { expect, test } from 'vitest';
import { uriFacts } from '../../policy/uri-facts.ts';

test.each([
  ['test://static-text', { urls: ['test://static-text'], hosts: ['static-text'] }],
  ['postgres://reader@db.example/main/schema', { hosts: ['db.example'] }],
  ['https://EXAMPLE.com./a', { hosts: ['example.com'], urls: ['https://example.com./a'] }],
  ['http://0x7f.1/', { hosts: ['127.0.0.1'] }],
  ['urn:isbn:0451450523', { urls: ['urn:isbn:0451450523'], hosts: [] }],
  ['file:///docs/my%20file.txt', { paths: ['/docs/my file.txt'], urls: [], hosts: [] }],
  ['file:///docs/folder/', { paths: ['/docs/folder'] }],
  ['note:///%E2%82%AC', { canonical: true }],
])('%s is plainly spelled, and says what it names', (uri, facts) => {
  expect(uriFacts(uri)).toMatchObject({ canonical: true, bytes: Buffer.byteLength(uri), ...facts });
});

test.each([
  'file:///docs/../etc/passwd',
  'file:///docs/%2e%2e/etc/passwd',
  'file:///docs/%2E%2E%2Fetc',
  'file:///docs//etc',
  'file://host/etc/passwd',
  'file:///docs/a?b',
  'file:///docs/a%00.txt',
  'file:///docs/%252e%252e/etc',
  'file:///docs\\..\\etc',
  'note:///a/./b',
  'note:///%zz',
  'note:///a%0ab',
  'note:///a\nb',
  'note:///e\u0301',
  'relative/path',
  '',
])('%j could be read as something else', (uri) => {
  expect(uriFacts(uri).canonical).toBe(false);
});
