import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { schemaToGrammar } from '../../runtime/local-model/schema-to-grammar.ts';
import { readGbnf, sampleGbnf } from '../support/gbnf-sampler.ts';

const paths = Array.from({ length: 300 }, (_, at) => `/input/src/some/folder/with/a/name/of/some/length/${at % 7}/file-${at}.ts`);

/** Schemas whose whole meaning the grammar must keep. */
const schemas: Record<string, object> = {
  card: {
    type: 'object',
    properties: {
      purpose: { type: 'string', minLength: 1, maxLength: 12 },
      kind: { enum: ['code', 'test', 'docs', 'other "thing"', 'back\\slash'] },
      todos: { type: 'array', items: { type: 'string', maxLength: 3 }, maxItems: 3 },
      risk: { type: ['string', 'null'], maxLength: 5 },
    },
    required: ['purpose', 'kind'],
    additionalProperties: false,
  },
  'only optional properties': {
    type: 'object',
    properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } },
    additionalProperties: false,
  },
  'an optional property before and after a required one': {
    type: 'object',
    properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } },
    required: ['b'],
    additionalProperties: false,
  },
  'an empty object': { type: 'object', additionalProperties: false },
  'names that need escapes': { type: 'object', properties: { 'a/b "~\\': { type: 'null' }, 漢: { type: 'boolean' } }, required: ['漢'] },
  'many paths': { type: 'array', items: { enum: paths }, minItems: 1, maxItems: 4 },
  'values of all types': { enum: ['a', 'ab', 'abc', '', 1, -1.5, true, null, { a: [1, 'x'] }, []] },
  'values narrowed by type': { type: 'integer', enum: [1, 'one', 2.5, 4] },
  'a tool call': {
    oneOf: [
      {
        type: 'object',
        properties: { tool: { const: 'read' }, path: { enum: paths.slice(0, 5) } },
        required: ['tool', 'path'],
        additionalProperties: false,
      },
      { type: 'object', properties: { answer: { type: 'string', maxLength: 4 } }, required: ['answer'], additionalProperties: false },
    ],
  },
  'any of two': {
    anyOf: [{ type: 'null' }, { type: 'array', items: { type: 'integer', minimum: 1, maximum: 3 }, minItems: 2, maxItems: 2 }],
  },
  'a closed tuple': { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'boolean' }], items: false, minItems: 1 },
  'a tuple with a tail': { type: 'array', prefixItems: [{ const: 'x' }], items: { type: 'boolean' }, minItems: 3, maxItems: 5 },
  'a tuple of nothing needed': { type: 'array', prefixItems: [{ const: 'x' }, { const: 'y' }], items: { const: 'z' }, maxItems: 3 },
  'an empty array': { type: 'array', items: { type: 'string' }, maxItems: 0 },
  'an empty string': { type: 'string', maxLength: 0 },
  'an exact string': { type: 'string', minLength: 7, maxLength: 7 },
};

describe('a schema as a grammar', () => {
  const ajv = new Ajv2020({ strict: false });

  test.for(Object.entries(schemas))('writes only compact JSON that is valid: %s', ([, schema]) => {
    const grammar = readGbnf(schemaToGrammar(schema));
    const validate = ajv.compile(schema);
    fc.assert(
      fc.property(fc.noShrink(fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }))), (stream) => {
        const text = sampleGbnf(grammar, () => stream.next().value);
        const value: unknown = JSON.parse(text);
        // A value that was escaped differently is still compact: only white space outside strings makes the text longer.
        expect(text.length).toBe(JSON.stringify(value).length);
        expect(validate(value), `${text}: ${ajv.errorsText(validate.errors)}`).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('writes every integer between two bounds and no other', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1300, max: 1300 }), fc.nat(40), (least, span) => {
        const written = texts(schemaToGrammar({ type: 'integer', minimum: least, maximum: least + span }), 6_000);
        expect([...written].map(Number).toSorted((a, b) => a - b)).toEqual(Array.from({ length: span + 1 }, (_, at) => least + at));
      }),
      { numRuns: 60 },
    );
  });

  test('keeps far bounds, open bounds and excluded bounds of integers', () => {
    const between = (schema: object): number[] => [...texts(schemaToGrammar({ type: 'integer', ...schema }), 2_000)].map(Number);
    expect(between({ exclusiveMinimum: 2, exclusiveMaximum: 4 })).toEqual([3]);
    expect(between({ minimum: 0.5, maximum: 1.5 })).toEqual([1]);
    for (const value of between({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }))
      expect(Number.isSafeInteger(value)).toBe(true);
    for (const value of between({ minimum: 98 })) expect(value).toBeGreaterThanOrEqual(98);
    for (const value of between({ maximum: -1 })) expect(value).toBeLessThanOrEqual(-1);
  });

  test('keeps numbers with decimals inside their bounds', () => {
    for (const [minimum, maximum] of [
      [0, 1],
      [-1, 1],
      [-3, -2],
      [-1, 0],
      [0.2, 1.7],
      [9, 120],
      [0, 0],
    ] as const)
      for (const text of texts(schemaToGrammar({ type: 'number', minimum, maximum }), 500)) {
        expect(Number(text), text).toBeGreaterThanOrEqual(minimum);
        expect(Number(text), text).toBeLessThanOrEqual(maximum);
      }
    expect(texts(schemaToGrammar({ type: 'number', minimum: 0, maximum: 1 }), 500)).toContain('1');
  });

  test('ends strings and arrays that the schema leaves open', () => {
    const grammar = schemaToGrammar({ type: 'array', items: { type: 'string' } });
    expect(grammar).toContain('{0,400}');
    expect(grammar).toContain('{0,31}');
    expect(schemaToGrammar({ type: 'string', maxLength: 900 })).toContain('{0,900}');
    expect(schemaToGrammar({ type: 'string', maxLength: 1_000_000 })).toContain('{0,2000}');
    expect(schemaToGrammar({ type: 'string', minLength: 500 })).toContain('{500}');
  });

  test('writes common beginnings of many values once', () => {
    const grammar = schemaToGrammar({ enum: paths });
    expect(grammar.split('/with/a/name').length).toBe(2);
    expect(texts(grammar, 20_000).size).toBe(300);
  });

  test('writes the same description of a type once', () => {
    const one = schemaToGrammar({ type: 'object', properties: { a: { type: 'string' } } });
    const two = schemaToGrammar({ type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } });
    expect(two.split('[^').length).toBe(one.split('[^').length);
  });

  const nested = (depth: number): object => (depth === 0 ? { type: 'null' } : { type: 'array', items: nested(depth - 1) });
  test.for<[string, unknown, RegExp]>([
    ['a pattern', { type: 'object', properties: { a: { type: 'string', pattern: '^a' } } }, /properties\/a: the keyword "pattern"/],
    ['a format', { type: 'string', format: 'uri' }, /"format"/],
    ['a reference', { $ref: '#/$defs/x', $defs: {} }, /needs "type"/],
    ['definitions', { type: 'null', $defs: {} }, /"\$defs"/],
    ['unique items', { type: 'array', items: { type: 'null' }, uniqueItems: true }, /"uniqueItems"/],
    ['a keyword of another type', { type: 'string', minimum: 3 }, /"minimum"/],
    ['a keyword beside a union', { type: 'object', anyOf: [{ type: 'null' }] }, /"type"/],
    ['an excluded bound of a number', { type: 'number', exclusiveMinimum: 0 }, /"exclusiveMinimum"/],
    ['a schema for further properties', { type: 'object', additionalProperties: { type: 'string' } }, /"additionalProperties"/],
    ['a schema that says nothing', {}, /its root: it needs "type"/],
    ['a schema that is true', true, /must be an object/],
    ['an array without items', { type: 'array' }, /needs "items"/],
    ['an unknown type', { type: 'text' }, /"text" is not a JSON type/],
    ['a required property that is not declared', { type: 'object', properties: {}, required: ['a'] }, /"required" names "a"/],
    ['bounds that exclude everything', { type: 'integer', minimum: 2, maximum: 1 }, /no whole number/],
    ['number bounds without a whole number between', { type: 'number', minimum: 0.1, maximum: 0.9 }, /no whole number/],
    ['sizes that exclude everything', { type: 'string', minLength: 3, maxLength: 2 }, /"minLength"/],
    ['more items than have a schema', { type: 'array', prefixItems: [{ type: 'null' }], minItems: 2 }, /"minItems"/],
    ['values that have another type', { type: 'string', enum: [1, 2] }, /no value/],
    ['an empty list of values', { enum: [] }, /no value/],
    ['too deep a schema', nested(30), /levels deep/],
    [
      'too large a schema',
      { enum: Array.from({ length: 20_000 }, (_, at) => `${at} has an end of its own, ${'at some length '.repeat(3)}${at * 7}`) },
      /larger than/,
    ],
  ])('refuses by name what it cannot enforce: %s', ([, schema, message]) => {
    expect(() => schemaToGrammar(schema)).toThrow(
      expect.objectContaining({ status: 400, code: 'unsupported_schema', message: expect.stringMatching(message) }),
    );
  });
});

/** The distinct texts among `tries` samples, drawn with a fixed seed. */
const texts = (grammar: string, tries: number): Set<string> => {
  const read = readGbnf(grammar);
  let state = 42;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return new Set(Array.from({ length: tries }, () => sampleGbnf(read, random)));
};
