import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MaskCounts, maskerFor } from '../../gateway/mask/create-masker.ts';
import { createStreamMasker } from '../../gateway/mask/stream-masker.ts';
import { parseExactly } from '../../schema/exact-json.ts';
import { redactor } from '../../telemetry/redactor.ts';
import { growthOfTime } from '../support/grows-with-length.ts';

const both = maskerFor({ mask: ['secrets', 'personal'] });
if (!both) throw new Error('no masker');
const mask = (text: string): string => both.text(text, {});

const found: [string, string][] = [
  ['ada.lovelace+x@mail.example.co.uk', 'email'],
  ['+49 170 1234567', 'phone'],
  ['+1 (415) 555-2671', 'phone'],
  ['4111 1111 1111 1111', 'card'],
  ['378282246310005', 'card'],
  ['5555-5555-5555-4444', 'card'],
  ['DE89 3704 0044 0532 0130 00', 'iban'],
  ['GB82WEST12345698765432', 'iban'],
  ['078-05-1120', 'ssn'],
  ['sk-proj-0123456789abcdefXYZ', 'secret'],
  ['eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.MEUCIQDx-_abc', 'secret'],
  ['Bearer abcdefghijklmnop0123', 'secret'],
  ['-----BEGIN PRIVATE KEY-----\nMHcCAQEEIB\nabcd\n-----END PRIVATE KEY-----', 'secret'],
];

describe('a text', () => {
  test.each(found)('has %j replaced as %s, counted, whatever stands beside it', (text, kind) => {
    const counts: MaskCounts = {};
    expect(both.text(`(${text}), then "${text}" and ${text}`, counts)).toBe(
      `([masked:${kind}]), then "[masked:${kind}]" and [masked:${kind}]`,
    );
    expect(counts).toEqual({ [kind]: 3 });
  });

  test.each([
    'no. 4111 1111 1111 1112 is no card',
    'at 1764464523123 ms',
    'DE89 3704 0044 0532 0130 01 does not add up',
    'version 1.2.3.4, 2026-11-30, 12:30',
    'order 123-45-67890 and 000-12-3456',
    'call 555 2671',
    'user@localhost',
    'a + b = c',
    '192.168.100.200',
    'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
  ])('%j stays as it is', (text) => {
    expect(mask(text)).toBe(text);
  });

  test('a card among other groups of digits is found, and they stay', () => {
    expect(mask('12 4111 1111 1111 1111 34')).toBe('12 [masked:card] 34');
    expect(mask('IBAN DE89 3704 0044 0532 0130 00 AND MORE')).toBe('IBAN [masked:iban] AND MORE');
  });

  test('what a reference led to is masked in each form, and by `secrets` alone', () => {
    redactor.know('orchard-wicket-77');
    const encoded = Buffer.from('orchard-wicket-77').toString('base64');
    expect(mask(`orchard-wicket-77 ${encoded}`)).toBe('[masked:secret] [masked:secret]');
    expect(maskerFor({ mask: ['personal'] })?.text('orchard-wicket-77', {})).toBe('orchard-wicket-77');
    expect(maskerFor({ mask: ['secrets'] })?.text('a@example.com', {})).toBe('a@example.com');
  });

  test.each(['a@', '@a.b', 'a@a.', '1 ', '12-', '+1 ', 'DE89 ', 'A1', '4111', 'a'.repeat(64), '-----BEGIN ', 'x@y.zz '])(
    'a megabyte of %j takes time that grows with its length, and no more',
    (piece) => {
      expect(growthOfTime(piece, (text) => void mask(text))).toBeLessThan(32);
    },
  );
});

describe('JSON', () => {
  test('is masked in its texts, its names and its long numbers; pictures, ids and states stay', () => {
    const counts: MaskCounts = {};
    const value = parseExactly(
      '{"a@example.com":1,"b@example.com":{"card":4111111111111111,"id":9007199254740993,"list":["+49 170 1234567",true,null]},"image":{"type":"image","data":"a@example.com"},"requestState":"a@example.com"}',
    );
    expect(both.json(value, counts)).toEqual(
      parseExactly(
        '{"[masked:email]":1,"[masked:email]#2":{"card":"[masked:card]","id":9007199254740993,"list":["[masked:phone]",true,null]},"image":{"type":"image","data":"a@example.com"},"requestState":"a@example.com"}',
      ),
    );
    expect(counts).toEqual({ email: 2, card: 1, phone: 1 });
  });

  test('without anything to mask is the same object, so that nothing is made anew', () => {
    const value = { content: [{ type: 'text', text: 'hello' }], structuredContent: { deep: [{ n: 1.5, when: 1764464523123 }] } };
    expect(both.json(value, {})).toBe(value);
  });

  test('named `__proto__` changes no prototype', () => {
    const masked = both.json(JSON.parse('{"__proto__":{"mail":"a@example.com"}}'), {});
    expect(JSON.stringify(masked)).toBe('{"__proto__":{"mail":"[masked:email]"}}');
    expect(({} as { mail?: string }).mail).toBeUndefined();
  });
});

describe('a text that comes in pieces', () => {
  const inPieces = (text: string, cuts: number[]): string => {
    const stream = createStreamMasker(both, {});
    const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
    let from = 0;
    let out = '';
    for (const to of [...places, text.length]) {
      out += stream.push(text.slice(from, to));
      from = to;
    }
    return out + stream.end();
  };

  test('is masked as if it had come in one, wherever it is cut', () => {
    const word = fc.constantFrom(
      'and',
      'the id 12',
      'A1B2',
      'Bearer',
      '+1',
      '4111 1111',
      '-----BEGIN CERTIFICATE-----',
      '\n',
      ' ',
      '@',
      'https://me:pass-word@host/x',
    );
    const part = fc.oneof(word, fc.constantFrom(...found.map(([text]) => text)), fc.string({ maxLength: 6 }));
    const text = fc.array(fc.tuple(part, fc.constantFrom(' ', '', '\n', ', ')), { maxLength: 14 }).map((parts) => parts.flat().join(''));
    fc.assert(
      fc.property(text, fc.array(fc.nat(2000), { maxLength: 12 }), (whole, cuts) => {
        expect(inPieces(whole, cuts)).toBe(mask(whole));
      }),
      { numRuns: 3000 },
    );
  });

  test('of one character each is masked, and told as soon as it can be', () => {
    const stream = createStreamMasker(both, {});
    expect([...'to ada@example.com now'].map((letter) => stream.push(letter)).join('|')).toMatch(/^\|\|to \|+\[masked:email\] \|+$/);
    expect(stream.end()).toBe('now');
  });

  test('without any space is passed on all the same', () => {
    const stream = createStreamMasker(both, {});
    let out = '';
    for (let index = 0; index < 100; index += 1) out += stream.push('x'.repeat(1000));
    expect(out.length).toBeGreaterThan(70_000);
    expect(out + stream.end()).toBe('x'.repeat(100_000));
  });
});
