import { expect, test } from 'vitest';
import { checkMeaning } from '../../control/api/check-meaning.ts';
import { parsed } from '../support/running-gateway.ts';

const look = { name: 'shown', tool: 'look' };
const act = { name: 'paint', of: 'shown', apply: { tool: 'set' } };
const issuesOf = (spec: object): string[] =>
  parsed({ kind: 'ReconcileTarget', metadata: { name: 'settings' }, spec: { type: 'mcp', toolset: 't', role: 'r', ...spec } })
    .flatMap(checkMeaning)
    .map(({ path }) => path.join('.'));

test('the names in a target of type mcp have to meet: what is desired is observed, and what is acted on is desired', () => {
  expect(issuesOf({ observe: [look], desired: { shown: 1 }, actions: [act] })).toEqual([]);
  expect(issuesOf({ observe: [look], desired: { hidden: 1 } })).toEqual(['spec.desired.hidden']);
  expect(issuesOf({ observe: [look], desired: {}, actions: [act] })).toEqual(['spec.actions.0.of']);
  expect(issuesOf({ observe: [look, look], desired: { shown: 1 }, actions: [act, act] })).toEqual([
    'spec.observe.1.name',
    'spec.actions.1.name',
  ]);
});

test('a fleet of people has no name of the reconciler’s own', () => {
  for (const name of ['reconcile', 'reconcile-act']) {
    const [fleet] = parsed({ kind: 'Fleet', metadata: { name }, spec: { stages: [{ name: 'a', role: 'r' }] } });
    expect(fleet && checkMeaning(fleet)).toEqual([{ path: ['metadata', 'name'], message: expect.stringContaining(name) }]);
  }
});
