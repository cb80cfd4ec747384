import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inPlainNumbers, isExactNumber, parseExactly, textOfExactNumber } from '../../schema/exact-json.ts';

describe('numbers', () => {
  test.each([
    '9007199254740993',
    '-9223372036854775808',
    '18446744073709551615',
    '1e999',
    '-1E+400',
    '0.1000000000000000055',
    '123456789012345678.5',
  ])('%s comes out as it went in', (number) => {
    const text = `{"a":${number},"b":[${number},{"c":${number}}],"d":"${number}"}`;
    expect(JSON.stringify(parseExactly(text))).toBe(text);
  });

  test('that JavaScript has exactly are plain numbers', () => {
    expect(parseExactly('[9007199254740991,-1.5,1e3,0.1,"12345678901234567890"]')).toEqual([
      9007199254740991,
      -1.5,
      1000,
      0.1,
      '12345678901234567890',
    ]);
    expect(isExactNumber(parseExactly('4294967296'))).toBe(false);
  });

  test('that are kept have their digits, and can be had plain', () => {
    const value = parseExactly('{"id":9007199254740993,"list":[1,9007199254740993]}') as { id: never };
    expect(isExactNumber(value.id)).toBe(true);
    expect(textOfExactNumber(value.id)).toBe('9007199254740993');
    expect(inPlainNumbers(value)).toEqual({ id: 9007199254740992, list: [1, 9007199254740992] });
    const plain = { a: [{ b: 1 }] };
    expect(inPlainNumbers(plain)).toBe(plain);
  });

  test('of any length and form are the same again, and all else is as JSON.parse has it', () => {
    const digits = fc.stringMatching(/^-?(0|[1-9]\d{0,30})(\.\d{1,25})?([eE][+-]?\d{1,4})?$/);
    fc.assert(
      fc.property(digits, fc.jsonValue(), (number, rest) => {
        const [exact, other] = parseExactly(`[${number},${JSON.stringify(rest)}]`) as [unknown, unknown];
        const written = JSON.stringify(exact);
        // written shorter it may be, as 1e2 is 100, but not another number
        expect(written === number || (written.length <= 25 && decimalOf(written) === decimalOf(number))).toBe(true);
        expect(inPlainNumbers(other)).toEqual(JSON.parse(JSON.stringify(rest)));
      }),
      { numRuns: 2000 },
    );
  });

  test('change nothing else in a text: escapes, empty things, spaces, names twice, `__proto__`', () => {
    const texts = [
      ' { "a\\\\" : [ ] , "\\"b" : { } , "c\\u0022" : [ true,false , null,\t-0 , 1E5 ] }\r\n',
      '{"a":1e999,"a":"x"}',
      '{"a":"x","b":2,"a":{"c":[]}}',
      '{"__proto__":{"x":1},"y":{"__proto__":1e999}}',
      '{"2":1,"1":2,"":3}',
      '["\\\\","\\\\\\"]","\ud83d\ude00","\\ud800"]',
    ];
    for (const text of texts) {
      const all = `[9007199254740993,${text}]`;
      const [, value] = parseExactly(all) as [unknown, object];
      expect(Object.getPrototypeOf(value)).toBe(Object.getPrototypeOf(JSON.parse(text)));
      expect(inPlainNumbers(value)).toEqual(inPlainNumbers(JSON.parse(text.replaceAll('1e999', '1e300'), asInfinite)));
      expect(JSON.stringify(value)).toBe(JSON.stringify(JSON.parse(text.replaceAll('1e999', '"1e999"'))).replaceAll('"1e999"', '1e999'));
    }
  });

  test('are found without asking about each value, which takes seconds for a large text', () => {
    const text = `[${'1,'.repeat(1_000_000)}9007199254740993]`;
    const took = (parse: () => unknown): number => {
      const startedAt = performance.now();
      parse();
      return performance.now() - startedAt;
    };
    const askingMs = took(() => JSON.parse(text, (_key, value) => value));
    expect(took(() => parseExactly(text))).toBeLessThan(askingMs / 2);
  });

  test('do not make text that is no JSON pass', () => {
    for (const text of ['{"a":9007199254740993', '0123456789012345678', '[9007199254740993,]'])
      expect(() => parseExactly(text)).toThrow(SyntaxError);
  });
});

/** `1e300` stands for what JavaScript has no number for. */
const asInfinite = (_key: string, value: unknown): unknown => (value === 1e300 ? Number.POSITIVE_INFINITY : value);

/** A decimal as its digits without zeros at either end, and the power of ten behind them. */
const decimalOf = (text: string): string => {
  const [, sign = '', whole = '', fraction = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const all = `${whole}${fraction}`.replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  return digits === '' ? '0' : `${sign}${digits}e${Number(power) - fraction.length + all.length - digits.length}`;
};
