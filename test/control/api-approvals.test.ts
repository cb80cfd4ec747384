import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import type { CallToApprove } from '../../store/ask-approval.ts';
import { queryAudit } from '../../store/audit.ts';
import { seedPeople } from '../../store/people.ts';
import { askFor, byReviewers, callToApprove, runOut } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { adminToken, guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startRunningApi({ cedar: true });
});
afterAll(() => api.close());
afterEach(() => {
  api.temporal.state.away = false;
});

const agent = 'default/default/survey/run_1/read/reader/0';
const pending = async (more: Parameters<typeof callToApprove>[0] = {}) => {
  const call = callToApprove(more);
  return { call, id: (await askFor(api.database, call)).id };
};
const path = (id = '', verb = '') => ['/default/default/approvals', id, verb].filter((part) => part !== '').join('/');
const answer = (id: string, { digest }: Pick<CallToApprove, 'digest'>, verb = 'approve', token = reviewerToken, comment?: string) =>
  api.request('POST', path(id, verb), { token, body: { digest, ...(comment ? { comment } : {}) } });
const show = (id: string, token = reviewerToken) => api.request('GET', path(id), { token });
const auditOf = async (id: string) =>
  (await queryAudit(api.database, defaultTenancy, AuditQuerySchema.parse({ limit: 1000 }), openAuditLog(api.database).people)).filter(
    ({ resource }) => resource === `Approval/${id}`,
  );

describe('looking', () => {
  test('shows what would be run, with every character to be seen, and puts on record who looked', async () => {
    const text = 'Pay \u202e00.1\u202c to **Bob** \u001b[2J [approve](javascript:x)\u200b';
    const { id, call } = await pending({ arguments: { text } });
    const { status, body } = await show(id);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, state: 'pending', digest: call.digest, server: 'files', tool: 'write', reason: 'It writes.' });
    expect(body.arguments).toBe('{\n  "text": "Pay \\u{202E}00.1\\u{202C} to **Bob** \\u001b[2J [approve](javascript:x)\\u{200B}"\n}');
    expect((await auditOf(id)).map(({ action, person }) => [action, person])).toContainEqual(['seeApproval', 'reviewer']);
  });

  test('refuses to show what is not the call that the digest is of', async () => {
    const { id } = await pending();
    const other = await pending({ arguments: { path: '/etc/passwd' } });
    await api.database.$client.query('update approvals set call = (select call from approvals where id = $2) where id = $1', [
      id,
      other.id,
    ]);
    expect((await show(id)).body.code).toBe('secret_unavailable');
  });

  test('lists what is open, and the rest by state and run', async () => {
    const { id } = await pending({ run: 'run_listed', agent });
    const denied = await pending({ run: 'run_listed', agent });
    await answer(denied.id, denied.call, 'deny');
    const list = async (query: string, token = reviewerToken) =>
      (await api.request('GET', `${path()}?${query}`, { token })).body.approvals.map((each: { id: string }) => each.id);
    expect(await list('run=run_listed')).toEqual([id]);
    expect(await list('run=run_listed&state=all')).toEqual([denied.id, id]);
    expect(await list('run=run_listed&state=denied')).toEqual([denied.id]);
    expect(await list('run=run_listed', guestToken), 'nothing of it is theirs').toEqual([]);
    expect((await api.request('GET', `${path()}?state=open`)).body).toMatchObject({ code: 'request_invalid' });
  });

  test('is for those who may answer, those who observe, and the owner; to others there is no such approval', async () => {
    const { id, call } = await pending();
    expect((await show(id, guestToken)).body.code).toBe('not_found');
    expect((await answer(id, call, 'approve', guestToken)).body.code).toBe('not_found');
    const own = await pending({ person: 'guest', principal: 'person:default/guest' });
    expect((await show(own.id, guestToken)).status).toBe(200);
    expect((await show('apr_0000000000000000')).body.code).toBe('not_found');
    expect((await show('apr_short')).body.code).toBe('request_invalid');
    expect((await api.request('GET', '/other/default/approvals')).body).toEqual({ approvals: [] });
  });
});

describe('answering', () => {
  test('an approval is on record with who, when and how they came in, and a waiting agent is told', async () => {
    const { id, call } = await pending({ agent, run: 'run_1' });
    const { status, body } = await answer(id, call, 'approve', reviewerToken, 'Looks right.');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      state: 'approved',
      decisions: [{ person: 'reviewer', verdict: 'approve', stamp: 'reviewer-token', comment: 'Looks right.' }],
    });
    expect(api.temporal.told).toContainEqual({ agent, approvalId: id });
    const [row] = (await auditOf(id)).filter(({ action }) => action === 'approve');
    expect(row).toMatchObject({
      person: 'reviewer',
      agent,
      run: 'run_1',
      tool: 'write',
      policies: ['platform/approvers'],
      facts: { digest: call.digest },
    });
    const toldAt = await api.database.$client.query('select told_at from approvals where id = $1', [id]);
    expect(toldAt.rows[0].told_at).not.toBeNull();
  });

  test('a deny ends it, and says so to whoever comes later', async () => {
    const { id, call } = await pending();
    expect((await answer(id, call, 'deny')).body).toMatchObject({ state: 'denied' });
    expect((await answer(id, call)).body).toMatchObject({
      code: 'conflict',
      detail: expect.stringMatching(
        new RegExp(`^The approval ${id} is denied already \\(denied by reviewer at .*\\); nothing was changed\\.$`),
      ),
    });
    expect((await auditOf(id)).map(({ action }) => action)).toContain('denyApproval');
  });

  test('the same answer twice is one', async () => {
    const { id, call } = await pending();
    const [first, second] = [await answer(id, call), await answer(id, call)];
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.body.decisions).toHaveLength(1);
    expect((await auditOf(id)).filter(({ action }) => action === 'approve')).toHaveLength(1);
  });

  test('a decision on another digest than the approver saw is refused', async () => {
    const { id } = await pending();
    const refused = await answer(id, { digest: 'f'.repeat(64) });
    expect(refused.body).toMatchObject({ status: 409, code: 'conflict', detail: expect.stringContaining('look again') });
    expect((await show(id)).body.state).toBe('pending');
    expect((await api.request('POST', path(id, 'approve'), { token: reviewerToken, body: {} })).body.code).toBe('request_invalid');
    const form = { token: reviewerToken, body: 'digest=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } };
    expect((await api.request('POST', path(id, 'approve'), form)).body.code, 'what a page elsewhere could send').toBe('request_invalid');
    expect((await api.request('GET', path(id, 'approve'), { token: reviewerToken })).status, 'nothing is approved by a link').toBe(404);
  });

  test('too late is refused, and says so', async () => {
    const { id, call } = await pending();
    await runOut(api.database, id);
    expect((await answer(id, call)).body).toMatchObject({ code: 'approval_expired', approvalState: 'expired' });
    expect((await show(id)).body.state).toBe('expired');
  });

  test('never by the owner of the run or the call, nor by somebody whom the policy does not name', async () => {
    const own = await pending({ person: 'reviewer', agent });
    expect((await answer(own.id, own.call)).body).toMatchObject({
      code: 'not_permitted',
      detail: expect.stringContaining('platform/approver-is-not-owner'),
    });
    const { id, call } = await pending();
    expect((await answer(id, call, 'approve', adminToken)).body).toMatchObject({
      code: 'not_permitted',
      detail: expect.stringContaining('platform/named-approvers'),
    });
    expect((await auditOf(id)).filter(({ kind, person }) => kind === 'refusal' && person === 'admin')).toHaveLength(1);
    expect((await show(id)).body.state).toBe('pending');
  });

  test('several people have to be different ones', async () => {
    await seedPeople(api.database, 'default', [{ id: 'guest', groups: ['ops'], roles: [] }]);
    const { id, call } = await pending({ rules: [{ ...byReviewers, approvers: ['role:reviewer', 'group:ops'], count: 2 }] });
    expect((await answer(id, call)).body.state).toBe('pending');
    expect((await answer(id, call)).body.state).toBe('pending');
    expect((await answer(id, call, 'approve', guestToken)).body).toMatchObject({ state: 'approved' });
    await seedPeople(api.database, 'default', [{ id: 'guest', groups: ['engineering'], roles: [] }]);
  });

  test('is decided by the row while Temporal is away', async () => {
    const { id, call } = await pending({ agent });
    api.temporal.state.away = true;
    expect((await answer(id, call)).body).toMatchObject({ state: 'approved' });
    const { rows } = await api.database.$client.query('select told_at from approvals where id = $1', [id]);
    expect(rows[0].told_at).toBeNull();
  });
});

test('in the profile of one person that one may approve their own after a fresh login, stamped so', async () => {
  const solo = await startRunningApi({ cedar: true, profile: 'solo' });
  try {
    const call = callToApprove({ person: 'admin', principal: 'person:default/admin', rules: [{ ...byReviewers, count: 2 }] });
    const { id } = await askFor(solo.database, call);
    const asAdmin = (token: string) => solo.request('POST', path(id, 'approve'), { token, body: { digest: call.digest } });
    // a token of the installation is no login
    for (const token of [adminToken, await solo.login('admin', 301), await solo.login('admin', null)])
      expect(await asAdmin(token)).toMatchObject({ status: 401, body: { code: 'login_stale', maxAgeSeconds: 300 } });
    const stale = await solo.request('POST', path(id, 'approve'), { body: { digest: call.digest } });
    expect(stale.headers.get('www-authenticate')).toMatch(/error="insufficient_user_authentication", max_age="300"/);
    const { body } = await asAdmin(await solo.login('admin', 200));
    expect(body).toMatchObject({ state: 'approved', decisions: [{ person: 'admin', stamp: 'self' }] });
    const rows = await queryAudit(
      solo.database,
      defaultTenancy,
      AuditQuerySchema.parse({ action: 'approve' }),
      openAuditLog(solo.database).people,
    );
    expect(rows.filter(({ decision }) => decision === 'allow')).toMatchObject([
      { person: 'admin', stamp: 'self', facts: { context: { who: { authAge: 200, acr: 1 } } } },
    ]);
    const stranger = callToApprove({ person: 'admin' });
    const asked = await askFor(solo.database, stranger);
    expect(
      (await solo.request('POST', path(asked.id, 'approve'), { token: guestToken, body: { digest: stranger.digest } })).body.code,
    ).toBe('not_found');
  } finally {
    await solo.close();
  }
});
