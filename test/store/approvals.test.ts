import { describe, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { parseExactly } from '../../schema/exact-json.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { getApproval, listApprovals, openApprovedCall } from '../../store/approvals.ts';
import { type CallToApprove, createApprovalAsks } from '../../store/ask-approval.ts';
import { queryAudit } from '../../store/audit.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { type Answer, decideApproval } from '../../store/decide-approval.ts';
import { expireApprovals } from '../../store/expire-approvals.ts';
import { moveRun } from '../../store/runs.ts';
import { listUntoldAgents, markTold } from '../../store/tell-agents.ts';
import { approvalEvent, approvalKeys, askFor, byReviewers, callToApprove, runOut } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { insertRunningRun, useTestDatabase } from '../support/store-database.ts';

const { database, url } = useTestDatabase();
const keyOf = (id: string) => ({ ...defaultTenancy, id });
const audit = () => openAuditLog(database());
const asks = () => createApprovalAsks(database(), audit(), approvalKeys);
const answer = (call: CallToApprove, person: string, verdict: Answer['verdict'] = 'approve', more: Partial<Answer> = {}): Answer => ({
  person,
  verdict,
  digest: call.digest,
  policies: [byReviewers.policy],
  stamp: 'token',
  comment: null,
  decisionId: 'dec_2',
  ...more,
});
const decide = (id: string, given: Answer, mayApproveOwn = false) =>
  decideApproval(database(), audit(), keyOf(id), given, approvalEvent(given.verdict), { mayApproveOwn });
const use = (id: string, operationId = 'op-1') => asks().consume(id, operationId, approvalEvent('useApproval'));
const stateOf = async (id: string) => (await getApproval(database(), keyOf(id))).state;
const pending = async (more: Parameters<typeof callToApprove>[0] = {}) => {
  const call = callToApprove(more);
  return { call, id: (await askFor(database(), call)).id };
};

describe('asking', () => {
  test('a retry finds its approval, of however many that ask at once one is made', async () => {
    const call = callToApprove();
    const found = await Promise.all(Array.from({ length: 12 }, () => askFor(database(), call)));
    expect(new Set(found.map(({ id }) => id)).size).toBe(1);
    expect(found[0]).toMatchObject({ id: expect.stringMatching(/^apr_[0-9a-z]{16}$/), state: 'pending' });
  });

  test('another argument, another id and another caller each have an approval of their own', async () => {
    const call = callToApprove();
    const calls = [
      call,
      callToApprove({ operationId: call.operationId, arguments: { path: '/out/b' } }),
      { ...call, operationId: `${call.operationId}/2` },
      { ...call, principal: 'person:default/bob' },
    ];
    const ids = await Promise.all(calls.map(async (each) => (await askFor(database(), each)).id));
    expect(new Set(ids).size).toBe(4);
  });

  test('calls without an id share the open approval and ask anew when it is used up', async () => {
    const call = callToApprove({ operationId: '', principal: 'person:default/unnamed' });
    const first = await Promise.all([askFor(database(), call), askFor(database(), call)]);
    const id = first[0].id;
    expect(first[1].id).toBe(id);
    await decide(id, answer(call, 'rita'));
    expect(await askFor(database(), call)).toMatchObject({ id, state: 'approved' });
    expect(await use(id)).toBe(true);
    const second = await askFor(database(), call);
    expect(second).toMatchObject({ state: 'pending' });
    expect(second.id).not.toBe(id);
    await runOut(database(), second.id);
    expect((await askFor(database(), call)).id).not.toBe(second.id);
    expect(await stateOf(second.id)).toBe('expired');
  });

  test('a denial of a call without an id holds for the time that was given to decide', async () => {
    const call = callToApprove({ operationId: '', principal: 'person:default/denied' });
    const { id } = await askFor(database(), call);
    await decide(id, answer(call, 'rita', 'deny'));
    expect(await askFor(database(), call)).toMatchObject({ id, state: 'denied' });
    await runOut(database(), id);
    expect((await askFor(database(), call)).state).toBe('pending');
  });

  test('what a call with an id was answered stays its answer', async () => {
    const { call, id } = await pending();
    await runOut(database(), id);
    expect(await askFor(database(), call)).toMatchObject({ id, state: 'expired' });
  });

  test('no more of one caller are asked about than anybody would read', async () => {
    const principal = 'person:default/eager';
    const first = await pending({ principal });
    for (let n = 1; n < 25; n += 1) await pending({ principal });
    await expect(pending({ principal })).rejects.toMatchObject({ code: 'approvals_exhausted', isRetryable: true });
    expect(await askFor(database(), first.call), 'those that wait are still found').toMatchObject({ id: first.id });
    await decide(first.id, answer(first.call, 'rita', 'deny'));
    expect(await pending({ principal })).toBeDefined();
  });

  test('the arguments stand in the database sealed, and open to what the digest is of', async () => {
    const { call, id } = await pending({ arguments: { text: 'PLANTED-91c2' } });
    const { rows } = await database().$client.query<{ found: boolean }>(
      `select position('PLANTED-91c2'::bytea in call) > 0 as found from approvals where id = $1`,
      [id],
    );
    expect(rows[0]?.found).toBe(false);
    expect(await openApprovedCall(database(), approvalKeys, keyOf(id))).toMatchObject({
      tool: 'write',
      arguments: { text: 'PLANTED-91c2' },
    });
    await database().$client.query('update approvals set digest = $2 where id = $1', [id, '0'.repeat(64)]);
    await expect(openApprovedCall(database(), approvalKeys, keyOf(id))).rejects.toMatchObject({ code: 'internal' });
    expect(call.digest).not.toBe('0'.repeat(64));
  });
});

test('a number beyond 53 bits is shown, and run, as it was written', async () => {
  const argumentsOfCall = parseExactly('{"id":9007199254740993}') as Record<string, unknown>;
  const { call, id } = await pending({ arguments: argumentsOfCall });
  const opened = await openApprovedCall(database(), approvalKeys, keyOf(id));
  expect(JSON.stringify(opened.arguments)).toBe('{"id":9007199254740993}');
  expect(call.digest).not.toBe(callToApprove({ arguments: { id: 9007199254740992 } }).digest);
});

describe('deciding', () => {
  test('one approval is enough where one is asked for', async () => {
    const { call, id } = await pending();
    expect(await decide(id, answer(call, 'rita'))).toMatchObject({
      state: 'approved',
      decisions: [{ person: 'rita', verdict: 'approve' }],
    });
  });

  test('several people have to be different ones, and one deny ends it', async () => {
    const rules = [{ ...byReviewers, count: 2 }];
    const first = await pending({ rules });
    expect((await decide(first.id, answer(first.call, 'rita'))).state).toBe('pending');
    expect((await decide(first.id, answer(first.call, 'rita'))).state).toBe('pending');
    expect((await decide(first.id, answer(first.call, 'omar', 'approve', { policies: ['policyset/p/other'] }))).state).toBe('pending');
    expect((await decide(first.id, answer(first.call, 'sam'))).state).toBe('approved');
    const second = await pending({ rules });
    await decide(second.id, answer(second.call, 'rita'));
    expect((await decide(second.id, answer(second.call, 'sam', 'deny'))).state).toBe('denied');
    await expect(decide(second.id, answer(second.call, 'omar'))).rejects.toMatchObject({ code: 'conflict' });
  });

  test('where there is one person, that one is enough', async () => {
    const { call, id } = await pending({ rules: [{ ...byReviewers, count: 3 }] });
    expect((await decide(id, answer(call, 'ada', 'approve', { stamp: 'self' }), true)).state).toBe('approved');
  });

  test('of two who answer at once one decides, and the other hears of it', async () => {
    const { call, id } = await pending();
    const results = await Promise.allSettled([
      decide(id, answer(call, 'rita')),
      decide(id, answer(call, 'sam')),
      decide(id, answer(call, 'omar')),
    ]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({ code: 'conflict', detail: expect.stringContaining('approved already') });
    expect(await getApproval(database(), keyOf(id))).toMatchObject({ state: 'approved', decisions: [expect.anything()] });
  });

  test('a decision about another digest changes nothing', async () => {
    const { call, id } = await pending();
    await expect(decide(id, answer(call, 'rita', 'approve', { digest: '0'.repeat(64) }))).rejects.toMatchObject({ code: 'conflict' });
    expect(await stateOf(id)).toBe('pending');
  });

  test('an answer that comes late is none', async () => {
    const { call, id } = await pending();
    await runOut(database(), id);
    await expect(decide(id, answer(call, 'rita'))).rejects.toMatchObject({ code: 'approval_expired' });
    expect(await stateOf(id)).toBe('expired');
  });

  test('an approval can be taken back until its call is made', async () => {
    const { call, id } = await pending();
    await decide(id, answer(call, 'rita'));
    expect((await decide(id, answer(call, 'rita', 'deny'))).state).toBe('denied');
    expect(await use(id)).toBe(false);
    const other = await pending();
    await decide(other.id, answer(other.call, 'rita'));
    expect(await use(other.id)).toBe(true);
    await expect(decide(other.id, answer(other.call, 'sam', 'deny'))).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('using up', () => {
  test('of 50 that try at two replicas one gets it', async () => {
    const { call, id } = await pending();
    expect(await use(id)).toBe(false);
    await decide(id, answer(call, 'rita'));
    const replica = openDatabase({ url: url(), max: 10, name: 'replica' });
    const stores = [asks(), createApprovalAsks(replica, openAuditLog(replica), approvalKeys)];
    const tries = Array.from({ length: 50 }, (_, n) => stores[n % 2]?.consume(id, `op-${n}`, approvalEvent('useApproval')));
    expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1);
    await closeDatabase(replica);
    expect(await stateOf(id)).toBe('consumed');
  });

  test('never after its time', async () => {
    const { call, id } = await pending();
    await decide(id, answer(call, 'rita'));
    await runOut(database(), id);
    expect(await use(id)).toBe(false);
  });
});

describe('sweeping', () => {
  test('closes what is over, once, and what a run left behind', async () => {
    const run = await insertRunningRun(database(), 'run_approvals0000001');
    const over = await pending();
    const ofRun = await pending({ run: run.id, agent: 'default/default/survey/run_approvals0000001/read/reader/0' });
    const open = await pending();
    await runOut(database(), over.id);
    await moveRun(database(), run, ['running'], 'cancelled');
    expect(await expireApprovals(database(), audit())).toBeGreaterThanOrEqual(2);
    expect(await expireApprovals(database(), audit())).toBe(0);
    expect([await stateOf(over.id), await stateOf(ofRun.id), await stateOf(open.id)]).toEqual(['expired', 'expired', 'pending']);
    const rows = await queryAudit(database(), defaultTenancy, AuditQuerySchema.parse({ action: 'expireApproval' }));
    expect(rows.filter(({ resource }) => resource === `Approval/${over.id}`)).toHaveLength(1);
  });

  test('finds whose workflow was not told, until it was', async () => {
    const { call, id } = await pending({ agent: 'agent-untold' });
    const untold = async () => (await listUntoldAgents(database(), new Date(Date.now() + 1000))).map((waiting) => waiting.id);
    expect(await untold()).not.toContain(id);
    await decide(id, answer(call, 'rita'));
    expect(await untold()).toContain(id);
    await markTold(database(), id);
    expect(await untold()).not.toContain(id);
    await decide(id, answer(call, 'sam', 'deny'));
    expect(await untold(), 'another decision is told too').toContain(id);
  });
});

test('lists by state and run, newest first, with what was answered', async () => {
  const first = await pending({ run: 'run_listed' });
  const second = await pending({ run: 'run_listed' });
  await decide(first.id, answer(first.call, 'rita', 'deny', { comment: 'Not today.' }));
  const list = async (state: 'all' | 'pending' | 'denied') =>
    (await listApprovals(database(), defaultTenancy, { state, run: 'run_listed', limit: 10 })).map(({ id }) => id);
  expect(await list('all')).toEqual([second.id, first.id]);
  expect(await list('pending')).toEqual([second.id]);
  expect(await list('denied')).toEqual([first.id]);
  expect((await getApproval(database(), keyOf(first.id))).decisions[0]).toMatchObject({ comment: 'Not today.', stamp: 'token' });
});
