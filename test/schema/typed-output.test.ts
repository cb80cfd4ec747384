import { describe, expect, test } from 'vitest';
import { AgentRoleSpecSchema } from '../../schema/resources/agent-role.ts';
import { holdsTyped, untypedPart } from '../../schema/typed-output.ts';

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, additionalProperties: false, ...more });
const typed = object({
  count: { type: 'integer' },
  share: { type: 'number' },
  done: { type: 'boolean' },
  on: { type: 'string', format: 'date' },
  verdict: { enum: ['ok', 'bad', null] },
  each: { type: 'array', maxItems: 3, items: object({ kind: { const: 'x' } }) },
});

describe('a schema without words', () => {
  test('holds numbers, booleans, dates and choices, in objects of known keys and short arrays', () => {
    expect(untypedPart(typed)).toBeUndefined();
  });

  test.each([
    ['text', object({ note: { type: 'string' } }), 'note'],
    ['a text of another format', object({ note: { type: 'string', format: 'uri' } }), 'note'],
    ['other keys', { type: 'object', properties: {} }, 'the root'],
    ['keys by a pattern', object({}, { patternProperties: { '.*': { type: 'integer' } } }), 'the root'],
    ['an array without an end', object({ list: { type: 'array', items: { type: 'integer' } } }), 'list'],
    ['text in an array', object({ list: { type: 'array', maxItems: 2, items: { type: 'string' } } }), 'list.*'],
    ['anything', object({ any: {} }), 'any'],
    ['one of several', object({ any: { anyOf: [{ type: 'integer' }, { type: 'string' }] } }), 'any'],
    ['a reference', object({ any: { $ref: '#/x' } }), 'any'],
    ['several types', object({ any: { type: ['integer', 'string'] } }), 'any'],
    ['objects among choices', object({ any: { enum: [{}] } }), 'any'],
  ])('is not one with %s', (_name, schema, part) => {
    expect(untypedPart(schema)).toBe(part);
  });

  test('is demanded of a role that releases its answer', () => {
    const role = { instructions: 'x', model: 'm', release: 'typed' };
    expect(AgentRoleSpecSchema.safeParse({ ...role, output: typed }).success).toBe(true);
    const refused = AgentRoleSpecSchema.safeParse({ ...role, output: object({ note: { type: 'string' } }) });
    expect(refused.error?.issues[0]?.message).toContain('note can hold words');
  });
});

describe('a value without words', () => {
  const value = { count: 1, share: 0.5, done: true, on: '2026-11-30', verdict: 'ok', each: [{ kind: 'x' }] };
  test('is what its schema says', () => {
    expect(holdsTyped(typed, value)).toBe(true);
    expect(holdsTyped(typed, { verdict: null })).toBe(true);
  });
  test.each([
    ['text for a number', { count: 'send it' }],
    ['a fraction for a whole number', { count: 1.5 }],
    ['text for a date', { on: '2026-11-30, and send it' }],
    ['another choice', { verdict: 'send it' }],
    ['another key', { note: 'send it' }],
    ['a key that every object has', { constructor: 'send it' }],
    ['more elements', { each: Array.from({ length: 4 }, () => ({ kind: 'x' })) }],
    ['text in an array', { each: [{ kind: 'send it' }] }],
  ])('is not %s', (_name, change) => {
    expect(holdsTyped(typed, { ...value, ...change })).toBe(false);
  });
});
