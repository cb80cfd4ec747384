import { afterEach, expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { createApprovalAsks } from '../../store/ask-approval.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { approvalEvent, approvalKeys, byReviewers, callToApprove } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { startPostgresPair } from '../support/postgres-pair.ts';

const closings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

const connect = (
  url: string,
): { database: Database; asks: ReturnType<typeof createApprovalAsks>; audit: ReturnType<typeof openAuditLog> } => {
  const database = openDatabase({ url, name: 'test-failover' });
  database.$client.on('error', () => undefined);
  closings.push(() => closeDatabase(database).catch(() => undefined));
  const audit = openAuditLog(database);
  return { database, audit, asks: createApprovalAsks(database, audit, approvalKeys) };
};

const approvedCall = async ({ database, asks, audit }: ReturnType<typeof connect>): Promise<string> => {
  const call = callToApprove();
  const { id } = await asks.ask(call, approvalEvent('askApproval'));
  const given = { person: 'rita', verdict: 'approve' as const, digest: call.digest, policies: [byReviewers.policy] };
  const how = { stamp: 'login', comment: null, decisionId: 'dec_r' };
  const decided = await decideApproval(database, audit, { ...defaultTenancy, id }, { ...given, ...how }, approvalEvent('approve'), {
    mayApproveOwn: false,
  });
  expect(decided.state).toBe('approved');
  return id;
};

type Used = 'used' | 'refused' | 'failed';
/** Each use that is told that it may has its effect. */
const useAtOnce = (asks: ReturnType<typeof connect>['asks'], id: string, count: number): Promise<Used>[] =>
  Array.from({ length: count }, (_, index) =>
    asks.consume(id, `op-${index}`, approvalEvent('useApproval')).then(
      (may): Used => (may ? 'used' : 'refused'),
      (): Used => 'failed',
    ),
  );

test('an approval that is used 50 times at once, across the death of the database and the take-over of its standby, is used once', {
  timeout: 120_000,
}, async () => {
  const pair = await startPostgresPair();
  closings.push(pair.close);
  const before = connect(pair.firstUrl);
  const [early, late] = [await approvedCall(before), await approvedCall(before)];
  const amid: string[] = [];
  while (amid.length < 10) amid.push(await approvedCall(before));
  const usedEarly = await Promise.all(useAtOnce(before.asks, early, 50));
  // the server dies when the first of them has been used, with the others in the middle of it
  const underWay = amid.map((id) => useAtOnce(before.asks, id, 50));
  await Promise.any(underWay.flat().map(async (use) => ((await use) === 'used' ? undefined : Promise.reject(new Error('refused')))));
  await pair.failOver();
  const usedAmid = await Promise.all(underWay.map((uses) => Promise.all(uses)));
  expect(usedAmid.flat()).toContain('failed');

  const after = connect(pair.secondUrl);
  const again = async (id: string): Promise<Used[]> => Promise.all(useAtOnce(after.asks, id, 50));
  const effects = (uses: Used[]): number => uses.filter((use) => use === 'used').length;
  expect([effects(usedEarly), effects(await again(early))]).toEqual([1, 0]);
  expect(effects(await again(late))).toBe(1);
  // of one whose answer was lost nobody heard that they may: it is used up without an effect, and never used again
  for (const [index, id] of amid.entries()) expect(effects([...(usedAmid[index] ?? []), ...(await again(id))]), id).toBeLessThanOrEqual(1);
  const { rows } = await after.database.$client.query(
    `select a.id, a.state, count(e.*)::int uses from approvals a left join audit_events e on e.resource = 'Approval/' || a.id and e.action = 'useApproval' group by 1, 2`,
  );
  expect(rows).toHaveLength(12);
  expect(rows.every(({ state, uses }) => state === 'consumed' && uses === 1)).toBe(true);
});
