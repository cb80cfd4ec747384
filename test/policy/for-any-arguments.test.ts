import { policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import { expect, test } from 'vitest';
import { forAnyArguments } from '../../policy/for-any-arguments.ts';

/** The one condition that is left of a policy. */
const left = (effect: 'permit' | 'forbid', clause: string): unknown => {
  const json = policyToJson(`${effect} (principal, action, resource) ${clause};`);
  if (json.type === 'failure') throw new Error(JSON.stringify(json.errors));
  return forAnyArguments(json.json).conditions[0]?.body;
};
const same = (clause: string): unknown => {
  const json = policyToJson(`permit (principal, action, resource) ${clause};`);
  return json.type === 'success' ? json.json.conditions[0]?.body : undefined;
};
const value = (known: boolean) => ({ Value: known });

test('a condition that looks at no argument stays as it is', () => {
  const clause = 'when { principal.quarantined && context.who.hasHuman && resource has owner }';
  expect(left('forbid', clause)).toEqual(same(clause));
});

test.each<[string, 'permit' | 'forbid', string, unknown]>([
  ['a forbid on arguments refuses nothing yet', 'forbid', 'when { context.arguments.canonical }', value(false)],
  ['nor does one with unless', 'forbid', 'unless { context.arguments.canonical }', value(true)],
  ['a permit on arguments may permit', 'permit', 'when { context.arguments.bytes < 5 }', value(true)],
  ['also with unless', 'permit', 'unless { context.arguments.bytes < 5 }', value(false)],
  ['a negation turns it round', 'permit', 'when { !context.arguments.canonical }', { '!': { arg: value(false) } }],
  ['whether the project is frozen is of the moment', 'forbid', 'when { resource.project.frozen }', value(false)],
  ['where a server runs is known when it runs', 'forbid', 'unless { resource.server.isolation >= 2 }', value(true)],
  ['the context as a whole has the arguments in it', 'forbid', 'when { context has arguments }', value(false)],
  ['an argument in a set counts', 'forbid', 'when { [context.arguments.bytes].contains(3) }', value(false)],
])('%s', (_what, effect, clause, expected) => {
  expect(left(effect, clause)).toEqual(expected);
});

test('what is known beside an argument still decides', () => {
  const known = same('when { principal.quarantined }');
  expect(left('forbid', 'when { principal.quarantined || context.arguments.canonical }')).toEqual({
    '||': { left: known, right: value(false) },
  });
  expect(left('forbid', 'unless { principal.quarantined && context.arguments.canonical }')).toEqual({
    '&&': { left: known, right: value(true) },
  });
  expect(left('forbid', 'when { if context.arguments.canonical then true else true }')).toEqual(value(false));
});
