import { afterAll, beforeAll, expect, test } from 'vitest';
import { draftRule } from '../../reconcile/learning/draft-rule.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { insertDraft } from '../../store/reconcile-learning.ts';
import { approvedFix, probesMoved } from '../reconcile/learning/approved-fix.ts';
import { guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi();
});
afterAll(() => api.close());

const rules = '/default/default/reconcile/rules';
const rule = (name: string, spec: object) => ({
  apiVersion: 'quarterdeck.dev/v1alpha1',
  kind: 'ReconcileRule',
  metadata: { name },
  spec: { match: 'drift.kind == "missing"', operations: [{ op: 'reapply', object: { $drift: '/object' } }], ...spec },
});
const ruleOf = async (name: string) => (await api.request('GET', rules)).body.rules.find((one: { name: string }) => one.name === name);
const review = (name: string, verb: 'promote' | 'demote', body: object, token = reviewerToken) =>
  api.request('POST', `${rules}/${name}/${verb}`, { body, token });
const draft = async (name: string, change: object = {}) => {
  const drafted = draftRule([approvedFix({ name: 'web' }), approvedFix({ name: 'api' })], 'same');
  if (!drafted.ok) throw new Error(drafted.reason);
  await insertDraft(api.database, { ...defaultTenancy, name }, { ...drafted.spec, ...change });
};

test('a rule is refused whose CEL or operations are none, with the place', async () => {
  const issuesOf = async (spec: object) => (await api.apply(rule('bad', spec))).body.issues;
  expect(await issuesOf({ match: 'drift.kind ==' })).toMatchObject([
    { path: ['spec', 'match'], message: expect.stringContaining('column 12') },
  ]);
  expect(await issuesOf({ match: 'drfit.kind == "missing"' })).toMatchObject([
    { message: expect.stringContaining('`drfit` is nothing here') },
  ]);
  expect(await issuesOf({ operations: [{ op: 'runShell', command: 'x' }] })).toMatchObject([
    { path: ['spec', 'operations', 0, 'op'], message: expect.stringContaining('reapply') },
  ]);
  expect((await api.apply(rule('good', {}))).status).toBe(200);
});

test('built-in rules, declared and learned ones are listed in the order in which they are tried', async () => {
  await draft('learned-listed');
  const { body } = await api.request('GET', rules);
  const origins = body.rules.map(({ origin }: { origin: string }) => origin);
  expect(origins.indexOf('builtIn')).toBeGreaterThan(origins.lastIndexOf('learned'));
  expect(await ruleOf('learned-listed')).toMatchObject({
    origin: 'learned',
    red: [],
    spec: { state: 'draft', origin: { faultKind: probesMoved } },
  });
  expect(await ruleOf('reapply-declared')).toMatchObject({ origin: 'builtIn' });
});

test('a draft goes live by a person who may, as it was looked at, and on record', async () => {
  await draft('learned-good');
  const { digest } = await ruleOf('learned-good');
  expect((await review('learned-good', 'promote', { digest }, guestToken)).status).toBe(403);
  expect(await review('learned-good', 'promote', { digest: 'f'.repeat(64) })).toMatchObject({ status: 409, body: { code: 'conflict' } });
  expect((await ruleOf('learned-good')).spec.state).toBe('draft');
  const twice = await Promise.all([review('learned-good', 'promote', { digest }), review('learned-good', 'promote', { digest })]);
  expect(twice.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect((await ruleOf('learned-good')).spec.state).toBe('live');
  const { events } = (await api.request('GET', '/default/default/audit?action=promoteRule')).body;
  expect(events).toMatchObject([{ person: 'reviewer', resource: 'ReconcileRule/learned-good', facts: { digest, state: 'live' } }]);
});

test('a rule whose tests do not hold stays a draft, and says which', async () => {
  await draft('learned-red', { operations: [{ op: 'restart', object: { $drift: '/object' } }] });
  const { digest, red } = await ruleOf('learned-red');
  expect(red).toHaveLength(2);
  const refused = await review('learned-red', 'promote', { digest });
  expect(refused).toMatchObject({ status: 422, body: { code: 'resource_invalid' } });
  expect(refused.body.detail).toContain('does what was approved in fix_');
  expect((await ruleOf('learned-red')).spec.state).toBe('draft');
});

test('a person takes a rule back with a reason, and it can be promoted again', async () => {
  await draft('learned-back', { state: 'live' });
  expect((await review('learned-back', 'demote', {})).status).toBe(400);
  expect(await review('learned-back', 'demote', { reason: 'too eager' })).toMatchObject({
    status: 200,
    body: { rule: { spec: { state: 'demoted', demotedBy: 'reviewer: too eager' } } },
  });
  expect((await review('learned-back', 'demote', { reason: 'again' })).status).toBe(409);
  const { digest } = await ruleOf('learned-back');
  const promoted = await review('learned-back', 'promote', { digest });
  expect(promoted.body.rule.spec).toMatchObject({ state: 'live' });
  expect(promoted.body.rule.spec.demotedBy).toBeUndefined();
  expect((await review('reapply-declared', 'demote', { reason: 'x' })).status).toBe(404);
});
