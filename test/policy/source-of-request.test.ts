import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSourceOf, isAddressRange } from '../../policy/source-of-request.ts';

const sourceOf = createSourceOf(['10.0.0.0/8', '127.0.0.1', '2001:db8:1::/48']);
const forwardedFor = (text: string | string[], peer = '10.0.0.1') => sourceOf(peer, { 'x-forwarded-for': text });

test.each([
  ['one hop', '203.0.113.7', '203.0.113.7'],
  [
    'the right-most hop that is no proxy of ours; what is left of it anybody may have written',
    '1.1.1.1, 203.0.113.7, 10.9.9.9',
    '203.0.113.7',
  ],
  ['all hops ours: the first of them', '10.0.0.9, 10.0.0.8', '10.0.0.9'],
  ['an IPv6 hop, in brackets and with a port', '[2001:DB8:2::7]:4711', '2001:db8:2::7'],
  ['an IPv4 hop with a port', '203.0.113.7:1234', '203.0.113.7'],
  ['an IPv4 hop that is mapped into IPv6', '::ffff:203.0.113.7', '203.0.113.7'],
  ['a hop in a trusted IPv6 range', '203.0.113.7, 2001:db8:1::5', '203.0.113.7'],
  ['something that is no address: the proxy that named it', '203.0.113.7, unknown', '10.0.0.1'],
  ['nothing', '', '10.0.0.1'],
])('X-Forwarded-For of a trusted proxy: %s', (_what, text, expected) => {
  expect(forwardedFor(text)).toBe(expected);
});

test.each([
  ['for=203.0.113.7;proto=https;by=10.0.0.1', '203.0.113.7'],
  ['for=1.1.1.1, proto=https;For="[2001:db8:2::7]:4711"', '2001:db8:2::7'],
  ['for=203.0.113.7, for=_hidden', '10.0.0.1'],
  ['for=203.0.113.7, proto=https', '10.0.0.1'],
])('Forwarded of a trusted proxy: %s', (text, expected) => {
  expect(sourceOf('10.0.0.1', { forwarded: text })).toBe(expected);
});

test('where both headers are there and disagree, neither is believed', () => {
  const both = { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=198.51.100.1' };
  expect(sourceOf('10.0.0.1', both)).toBe('10.0.0.1');
  expect(sourceOf('10.0.0.1', { ...both, forwarded: 'for=203.0.113.7' })).toBe('203.0.113.7');
});

test('several lines of the header are one list', () => {
  expect(forwardedFor(['1.1.1.1', '203.0.113.7'])).toBe('203.0.113.7');
});

test('nothing that a peer writes who is not trusted moves it, nor what is written left of an untrusted hop', () => {
  fc.assert(
    fc.property(fc.string(), fc.ipV4(), (text, written) => {
      for (const value of [text, written, `${text},${written}`]) {
        expect(sourceOf('203.0.113.5', { 'x-forwarded-for': value, forwarded: `for=${value}` })).toBe('203.0.113.5');
        expect(createSourceOf()('10.0.0.1', { 'x-forwarded-for': value })).toBe('10.0.0.1');
        expect(forwardedFor(`${value}, 203.0.113.7, 10.0.0.2`)).toBe('203.0.113.7');
      }
    }),
  );
});

test('a connection without an address stays without one; an IPv4 peer on an IPv6 socket is one source', () => {
  expect(sourceOf(undefined, { 'x-forwarded-for': '203.0.113.7' })).toBeUndefined();
  expect(sourceOf('::ffff:198.51.100.1', {})).toBe('198.51.100.1');
  expect(sourceOf('::ffff:10.0.0.1', { 'x-forwarded-for': '203.0.113.7' })).toBe('203.0.113.7');
});

test('ranges are addresses with a length that fits them', () => {
  for (const good of ['10.0.0.0/8', '127.0.0.1', '::1', '2001:db8::/32', '0.0.0.0/0']) expect(isAddressRange(good)).toBe(true);
  for (const bad of ['', '10.0.0.0/33', '10.0.0', 'proxy.example', '::/129', '10.0.0.0/8/8', '10.0.0.0/-1']) {
    expect(isAddressRange(bad)).toBe(false);
    expect(() => createSourceOf([bad])).toThrow(/is no address/);
  }
});
