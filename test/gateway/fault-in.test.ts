import { expect, test } from 'vitest';
import { faultIn } from '../../gateway/tool-call/fault-in.ts';

const anyOf = (count: number) => ({
  type: 'object',
  properties: { a: { anyOf: Array.from({ length: count }, () => ({ type: 'string', maxLength: 3 })) } },
});
const faultOf = (value: unknown, schema: object, name: string) => faultIn(value, schema, name, 'arguments');

test('what a schema says is checked, and the fault names the field', () => {
  expect(faultOf({ a: 1 }, anyOf(400), 'many')).toMatch(/^`arguments\.a` /);
  expect(faultOf({ a: 'abc' }, anyOf(400), 'many')).toBeUndefined();
});

test('a schema of so many parts that compiling it would hold the gateway up is left to the server', () => {
  for (const count of [600, 5_000]) expect(faultOf({ a: 1 }, anyOf(count), `too many ${count}`)).toBeUndefined();
  const deep = Array.from({ length: 600 }).reduce<object>((inner) => ({ type: 'object', properties: { a: inner } }), { type: 'string' });
  expect(faultOf({ a: 1 }, deep, 'too deep')).toBeUndefined();
});

// the pattern would take longer than the universe on this text; a test that evaluates it never ends
test.each([
  ['a property', { properties: { a: { type: 'string', pattern: '^(a+)+$' } } }],
  ['names of properties', { patternProperties: { '^(a+)+$': { type: 'string' } } }],
  ['a name', { propertyNames: { pattern: '^(a+)+$' } }],
])('a pattern for %s that takes for ever is not evaluated', (_what, schema) => {
  const text = `${'a'.repeat(80)}!`;
  expect(faultOf({ a: text, [text]: text }, { type: 'object', ...schema }, JSON.stringify(schema))).toBeUndefined();
});
