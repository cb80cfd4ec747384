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

/** As many definitions, each of which refers to the next one twice. */
const doubling = (count: number, how: 'anyOf' | 'oneOf', end: object) => ({
  type: 'object',
  properties: { a: { $ref: '#/$defs/d0' } },
  $defs: Object.fromEntries(
    Array.from({ length: count + 1 }, (_, index) => {
      const next = { $ref: `#/$defs/d${index + 1}` };
      return [`d${index}`, index === count ? end : { [how]: [next, next] }];
    }),
  ),
});
const again = (name: string) => ({ allOf: [{ properties: { a: { $ref: '#/$defs/t' } } }, { required: [name] }] });
const twice = { anyOf: [again('b'), again('c')] };
const nested = Array.from({ length: 60 }).reduce<object>((a) => ({ a }), {});
const round = { x: { allOf: [{ $ref: '#/$defs/y' }] }, y: { allOf: [{ $ref: '#/$defs/x' }] } };

// 2 to the power of 60 looks; a test that makes them all never ends
test.each<[string, unknown, object]>([
  ['each refers to the next one twice', { a: 1 }, doubling(60, 'anyOf', { type: 'string' })],
  ['all of which are counted', { a: 1 }, doubling(60, 'oneOf', { type: 'string' })],
  [
    'look at what is within a value twice',
    { a: nested },
    { type: 'object', properties: { a: { $ref: '#/$defs/t' } }, $defs: { t: twice } },
  ],
  ['lead round in a circle', { a: 1 }, { type: 'object', allOf: [{ $ref: '#/$defs/x' }], $defs: round }],
])('a schema whose definitions %s is broken off, left to the server, and soon not tried any more', (what, value, schema) => {
  for (let call = 0; call < 3; call += 1) expect(faultOf(value, schema, what)).toBeUndefined();
  const began = process.threadCpuUsage();
  expect(faultOf(value, schema, what)).toBeUndefined();
  expect(process.threadCpuUsage(began).user).toBeLessThan(20_000);
});

test('definitions that refer to themselves and to each other are checked as far as they are sane', () => {
  const below = { type: 'array', items: { $ref: '#/$defs/tree' } };
  const part = { type: 'object', properties: { name: { type: 'string' }, below }, required: ['name'] };
  const tree = { ...part, $defs: { tree: part } };
  expect(faultOf({ name: 'a', below: [{ name: 'b' }] }, tree, 'tree')).toBeUndefined();
  expect(faultOf({ name: 'a', below: [{ name: 1 }] }, tree, 'tree')).toBe('`arguments.below.0.name` must be string');
  expect(faultOf({ a: 1 }, doubling(6, 'anyOf', { type: 'string' }), 'six')).toBe('`arguments.a` must be string');
  expect(faultOf({ a: 'x' }, doubling(6, 'anyOf', { type: 'string' }), 'six')).toBeUndefined();
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
