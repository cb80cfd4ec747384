import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { platformPolicies } from '../../policy/platform-policies.ts';
import { seedPeople } from '../../store/people.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';

const apiVersion = 'quarterdeck.dev/v1alpha1';
const forbidPath = (path: string): string => `@id("no-${path.slice(1)}")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.paths.contains("${path}") };`;
const policySet = (path: string) => ({ apiVersion, kind: 'PolicySet', metadata: { name: 'paths' }, spec: { cedar: forbidPath(path) } });

let place: PolicyPlace;
let ada: string;
let rita: string;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-approvals-'));
  place = await startPolicyPlace({
    profile: 'production',
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    ],
  });
  await seedPeople(place.database, 'default', [
    { id: 'ada', groups: [], roles: ['administrator'] },
    { id: 'rita', groups: ['ops'], roles: ['reviewer'] },
    { id: 'bob', groups: ['ops'], roles: ['reviewer'] },
  ]);
  ada = await place.login('ada');
  rita = await place.login('rita');
});
afterAll(async () => {
  await place.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await place.database.$client.query('delete from approvals');
});

const publish = (path: string, token = ada) =>
  place.request('POST', '/default/default/policy/publish', { body: { documents: [policySet(path)], acceptFlips: true }, token });
const waiting = async (path: string): Promise<{ approvalId: string; digest: string }> => {
  const { status, body } = await publish(path);
  expect(status).toBe(202);
  return body;
};
const answer = ({ approvalId, digest }: { approvalId: string; digest: string }, token = rita, verdict = 'approve') =>
  place.request('POST', `/default/default/approvals/${approvalId}/${verdict}`, { body: { digest }, token });
const published = async (): Promise<string[]> => {
  const { rows } = await place.database.$client.query('select content from policy_bundles order by version');
  return rows.map(({ content }) => content as string);
};
const isRefused = async (path: string): Promise<boolean> =>
  (await place.call(await place.agentToken('reader'), 'look', { path })).error !== undefined;

describe('in the profile production a publication', () => {
  test('waits for another person, who sees its exact text, and is in force with the approval', async () => {
    const asked = await waiting('/two');
    expect((await published()).some((content) => content.includes('/two'))).toBe(false);
    expect((await publish('/two')).body.approvalId).toBe(asked.approvalId);
    const { body: shown } = await place.request('GET', `/default/default/approvals/${asked.approvalId}`, { token: rita });
    expect(shown).toMatchObject({ kind: 'publication', subject: 'policies: paths', state: 'pending', person: 'ada' });
    expect(shown.arguments).toContain('no-two');
    // as people read it: a line is a line
    expect(shown.arguments).toMatch(/^ +"forbid \(principal is Quarterdeck::Agent/m);
    expect(await isRefused('/two')).toBe(false);
    expect(await answer(asked)).toMatchObject({
      status: 200,
      body: { state: 'consumed', decisions: [{ person: 'rita', stamp: 'login' }] },
    });
    await pollUntil(async () => ((await isRefused('/two')) ? true : undefined), 'the policies in force');
    const { rows } = await place.database.$client.query('select published_by from policy_bundles order by version desc limit 1');
    expect(rows).toEqual([{ published_by: 'ada' }]);
    const row = await place.gateway.auditRow(({ action, facts }) => action === 'applyResource' && facts.approval === asked.approvalId);
    expect(row).toMatchObject({ person: 'rita', resource: 'PolicySet/paths', facts: { change: 'published' } });
  });

  test('is never approved by its proposer, and not by who may not', async () => {
    const asked = await waiting('/own');
    const before = await published();
    expect(await answer(asked, ada)).toMatchObject({
      status: 403,
      body: { code: 'not_permitted', detail: expect.stringContaining('approver-is-not-owner') },
    });
    await seedPeople(place.database, 'default', [{ id: 'guest', groups: [], roles: [] }]);
    expect((await answer(asked, await place.login('guest'))).status).toBe(404);
    expect(await published()).toEqual(before);
  });

  test('that was denied, has run out or was changed in the database never goes live', async () => {
    const before = await published();
    const denied = await waiting('/denied');
    expect((await answer(denied, rita, 'deny')).body.state).toBe('denied');
    expect((await answer(denied, await place.login('bob'))).body.code).toBe('conflict');
    expect((await publish('/denied')).body).toMatchObject({ code: 'approval_denied', approvalId: denied.approvalId });

    const late = await waiting('/late');
    await place.database.$client.query(`update approvals set expires_at = now() - interval '1 second' where id = $1`, [late.approvalId]);
    expect((await answer(late)).body.code).toBe('approval_expired');

    const honest = await waiting('/honest');
    const other = await waiting('/other');
    await place.database.$client.query('update approvals set call = (select call from approvals where id = $2) where id = $1', [
      honest.approvalId,
      other.approvalId,
    ]);
    expect((await answer(honest)).status).toBeGreaterThanOrEqual(500);
    expect((await answer({ ...other, digest: '0'.repeat(64) })).body.code).toBe('conflict');
    expect(await published()).toEqual(before);
  });

  test('on policies that have changed since is void', async () => {
    const first = await waiting('/first');
    const second = await waiting('/second');
    expect((await answer(first)).body.state).toBe('consumed');
    const before = await published();
    expect(await answer(second)).toMatchObject({ status: 409, body: { code: 'conflict', detail: expect.stringContaining('void') } });
    expect((await answer(second)).body.code).toBe('approval_expired');
    expect(await published()).toEqual(before);
  });

  test('of somebody who may not publish any more is void', async () => {
    await seedPeople(place.database, 'default', [{ id: 'eve', groups: [], roles: ['administrator'] }]);
    const asked = (await publish('/eve', await place.login('eve'))).body;
    await seedPeople(place.database, 'default', [{ id: 'eve', groups: [], roles: [] }]);
    const before = await published();
    expect((await answer(asked)).body.code).toBe('not_permitted');
    expect(await published()).toEqual(before);
  });

  test('that is approved 50 times at once is published once', async () => {
    const asked = await waiting('/race');
    const before = await published();
    const bob = await place.login('bob');
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => answer(asked, index % 2 === 0 ? rita : bob)));
    expect((await published()).slice(before.length)).toEqual([expect.stringContaining('/race')]);
    // who gets no connection of the database in time is told to try again
    expect(answers.filter(({ status }) => ![200, 409, 503].includes(status))).toEqual([]);
  });

  test('takes as many people as the project says', async () => {
    const project = (approvals: object) => ({ kind: 'Project', metadata: { name: 'default' }, spec: approvals });
    await place.gateway.apply(project({ approvals: { publication: { approvers: ['group:ops'], count: 2 } } }));
    try {
      const asked = await waiting('/both');
      const before = await published();
      expect((await answer(asked)).body.state).toBe('pending');
      expect((await answer(asked)).body.state).toBe('pending');
      expect(await published()).toEqual(before);
      expect((await answer(asked, await place.login('bob'))).body.state).toBe('consumed');
      expect((await published()).at(-1)).toContain('/both');
    } finally {
      await place.gateway.apply(project({}));
    }
  });

  test('is asked for and approved from the command line', async () => {
    const file = join(folder, 'policy.json');
    writeFileSync(file, JSON.stringify(policySet('/cli')));
    const asked = await place.qd(['policy', 'publish', file, '--accept-flips'], ada);
    expect(asked).toMatchObject({ code: 5, stderr: expect.stringContaining('role:administrator or role:reviewer') });
    const id = /approvals approve (apr_\w+)/.exec(asked.stderr)?.[1] ?? '';
    const shown = await place.qd(['approvals', 'show', id], rita);
    expect(shown.stdout).toMatch(/what +policies: paths\n +who asks +ada/);
    const approved = await place.qd(['approvals', 'approve', id, '--yes'], rita);
    expect(approved).toMatchObject({ code: 0, stdout: `${id} consumed\n`, stderr: expect.stringContaining('It is in force.') });
  });
});

describe('an approval', () => {
  test('after a login of six minutes ago, or of no known time, asks for a fresh one; a fresh one is enough', async () => {
    const asked = await waiting('/step-up');
    for (const age of [360, null]) {
      const { status, body } = await answer(asked, await place.login('rita', age));
      expect([status, body.code, body.maxAgeSeconds]).toEqual([401, 'login_stale', 300]);
      expect(body.detail).toContain('quarterdeck login --fresh');
    }
    const row = await place.gateway.auditRow(({ errorCode }) => errorCode === 'login_stale');
    expect(row).toMatchObject({
      person: 'rita',
      decision: 'deny',
      policies: ['platform/fresh-login'],
      resource: `Approval/${asked.approvalId}`,
    });
    const late = await place.qd(['approvals', 'approve', asked.approvalId, '--yes'], await place.login('rita', 360));
    expect(late).toMatchObject({ code: 4, stderr: expect.stringContaining('quarterdeck login --fresh') });
    expect((await answer(asked, await place.login('rita', 290))).body.state).toBe('consumed');
  });

  test('whose project asks for a login by two things takes no lesser one, however fresh; a denial takes none', async () => {
    const approvals = { publication: { acr: 2 } };
    const project = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Project', metadata: { name: 'default' } };
    expect((await place.request('POST', '/apply', { body: { documents: [{ ...project, spec: { approvals } }] }, token: ada })).status).toBe(
      200,
    );
    try {
      const asked = await waiting('/two-things');
      const { status, body, challenge } = await answer(asked, await place.login('rita', 0, '1'));
      expect([status, body.code, body.acr, body.maxAgeSeconds]).toEqual([401, 'login_stale', 2, 300]);
      expect(challenge).toMatch(/^Bearer .*error="insufficient_user_authentication", max_age="300", acr_values="2", .*scope="openid api"/);
      expect(body.detail).toContain('by two things or more');
      expect(body.detail).toContain('quarterdeck login --fresh --acr 2');
      expect((await answer(asked, await place.login('rita', 0))).body.code).toBe('login_stale');
      expect((await answer(asked, await place.login('rita', 400, 'phr'))).body).toMatchObject({ code: 'login_stale' });
      expect((await answer(asked, await place.login('rita', 0, 'phr'))).body.state).toBe('consumed');
      const other = await waiting('/two-more');
      expect((await answer(other, await place.login('rita', 0, '1'), 'deny')).body.state).toBe('denied');
      const row = await place.gateway.auditRow(({ policies }) => policies.includes('platform/strong-login'));
      expect(row).toMatchObject({ person: 'rita', decision: 'deny', errorCode: 'login_stale' });
    } finally {
      await place.request('POST', '/apply', { body: { documents: [{ ...project, spec: {} }] }, token: ada });
    }
  });

  test('can be denied after any login', async () => {
    const asked = await waiting('/stop');
    expect((await answer(asked, await place.login('rita', 3600), 'deny')).body.state).toBe('denied');
  });
});

test('without any single rule of the platform a publication is blocked', { timeout: 240_000 }, async () => {
  const rules = platformPolicies as Record<string, string>;
  const before = await published();
  for (const [id, text] of Object.entries(rules)) {
    delete rules[id];
    try {
      expect([id, (await publish('/mutant')).body.code]).toEqual([id, 'policy_red']);
    } finally {
      rules[id] = text;
    }
  }
  expect(await published()).toEqual(before);
  expect((await place.database.$client.query('select 1 from approvals')).rows).toEqual([]);
  // it was the missing rule each time: with all of them the very same is on its way
  expect((await publish('/mutant')).status).toBe(202);
});
