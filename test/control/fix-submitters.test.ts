import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { seedPeople } from '../../store/people.ts';
import { listFixes } from '../../store/reconcile-fixes.ts';
import { askForFix, declareShop } from '../support/ask-for-fix.ts';
import { adminToken, type RunningApi, startRunningApi } from '../support/running-api.ts';

/** Mallory may approve fixes and is one of two who write what is kept; Vera may approve and has written nothing. */
let api: RunningApi;
const approvers = ['mallory', 'vera', 'writer'];
beforeAll(async () => {
  api = await startRunningApi({ cedar: true });
  const seeds = approvers.map((id) => ({ id, groups: ['engineering'], roles: ['reviewer', 'administrator'] }));
  await seedPeople(api.database, 'default', seeds);
});
afterAll(() => api.close());

const tokens = new Map<string, string>();
beforeEach(async () => {
  for (const id of approvers) tokens.set(id, await api.login(id));
});
const as = (id: string): { token: string } => ({ token: tokens.get(id) ?? '' });

type Asked = Awaited<ReturnType<typeof askForFix>>;
const path = (id: string, verb: string) => `/default/default/approvals/${id}/${verb}`;
const approve = ({ approvalId, planDigest }: Asked, id: string) =>
  api.request('POST', path(approvalId, 'approve'), { ...as(id), body: { digest: planDigest } });
const refused = async (asked: Asked, id: string, rule = 'platform/submitter-approves-no-fix') => {
  const { status, body } = await approve(asked, id);
  expect([status, body.code, body.detail]).toEqual([403, 'not_permitted', expect.stringContaining(rule)]);
};
const agreed = async (asked: Asked, id: string) => expect((await approve(asked, id)).body).toMatchObject({ state: 'approved' });
const declare = async (id: string, ...documents: object[]) => {
  const body = { documents: documents.map((document) => ({ apiVersion: 'quarterdeck.dev/v1alpha1', ...document })) };
  const { status, body: answer } = await api.request('POST', '/apply', { ...as(id), body });
  expect(status, JSON.stringify(answer)).toBe(200);
};
const provider = (port: number) => ({
  ...{ kind: 'Provider', metadata: { name: 'elsewhere' } },
  spec: { kind: 'openai-compatible', baseUrl: `http://127.0.0.1:${port}/v1` },
});
const model = (tokensAtMost: number) => ({
  ...{ kind: 'Model', metadata: { name: 'small' } },
  spec: { routes: [{ provider: 'elsewhere', model: 'm' }], maxOutputTokens: tokensAtMost },
});
const mechanic = (instructions: string) => ({
  ...{ kind: 'AgentRole', metadata: { name: 'mechanic' } },
  spec: { instructions, model: 'small', output: { type: 'object' } },
});

describe('a fix is not approved by one who wrote a part of what it would do', () => {
  test('its target, though somebody else touched one number of it later', async () => {
    // the attack: another one's change made them the owner of all that Mallory wrote
    const asked = await askForFix(api.database, { before: 'mallory', owner: 'writer' });
    await refused(asked, 'mallory');
    await refused(asked, 'writer', 'platform/approver-is-not-owner');
    await agreed(asked, 'vera');
  });

  test('and is, once all of it was deleted and somebody else has declared it anew', async () => {
    const asked = await askForFix(api.database, { owner: 'mallory' });
    const { target } = asked.key;
    expect((await api.request('DELETE', `/default/default/resources/ReconcileTarget/${target}`, as('vera'))).status).toBe(200);
    await declareShop(api.database, target, 'writer');
    await refused(asked, 'writer');
    await refused(asked, 'mallory', 'platform/approver-is-not-owner'); // on whose behalf it was asked for
    await agreed(asked, 'vera');
  });

  test('the agent role that proposed it, its model, or where that leads, though somebody else changed each last', async () => {
    await declare('mallory', provider(9));
    await declare('writer', provider(10), model(100), mechanic('Look.'));
    const asked = await askForFix(api.database);
    await refused(asked, 'mallory');
    await refused(asked, 'writer');
    await agreed(asked, 'vera');
  });

  test('the rule that proposed it', async () => {
    const rule = (description: string) => ({
      ...{ kind: 'ReconcileRule', metadata: { name: 'shrink' } },
      spec: { description, match: 'drift.kind == "unhealthy"', operations: [{ op: 'scale', object: { $drift: 'object' }, replicas: 3 }] },
    });
    await declare('mallory', rule('one'));
    await declare('writer', rule('two'));
    const asked = await askForFix(api.database, { source: { kind: 'rule', rule: 'shrink' } });
    await refused(asked, 'mallory');
    await refused(asked, 'writer');
    await agreed(asked, 'vera');
  });

  test('a plan that somebody else edited after them', async () => {
    const asked = await askForFix(api.database, { writers: ['mallory'], source: { kind: 'person', person: 'writer' } });
    await refused(asked, 'mallory');
    await refused(asked, 'writer', 'platform/fix-approver');
    const [fix] = await listFixes(api.database, defaultTenancy, asked.key.target);
    expect(fix?.writers).toEqual(['mallory']);
    await agreed(asked, 'vera');
  });

  test('denying it is open to them, and takes no other', async () => {
    const asked = await askForFix(api.database, { writers: ['mallory'] });
    const denied = await api.request('POST', path(asked.approvalId, 'deny'), { ...as('mallory'), body: { digest: asked.planDigest } });
    expect(denied.body).toMatchObject({ state: 'denied' });
  });
});

test('a machine with a reviewer’s role approves none, not even by a token that claims a login of just now', async () => {
  await seedPeople(api.database, 'default', [{ id: 'client-default-ci', groups: [], roles: ['reviewer'] }]);
  const asked = await askForFix(api.database);
  const answerBy = async (token: string) =>
    (await api.request('POST', path(asked.approvalId, 'approve'), { token, body: { digest: asked.planDigest } })).body;
  expect((await answerBy(await api.login('client-default-ci'))).detail).toContain('platform/fix-approver');
  expect((await answerBy(await api.login('client-default-ci', null))).code).toBe('login_stale');
  await agreed(asked, 'vera');
});

test('an administrator who wrote a part of it is none the better for the role', async () => {
  const asked = await askForFix(api.database, { writers: ['admin'] });
  const own = await api.request('POST', path(asked.approvalId, 'approve'), { token: adminToken, body: { digest: asked.planDigest } });
  expect(own.body.detail).toContain('platform/submitter-approves-no-fix');
});
