import { expect, test } from 'vitest';
import { createLearnFromFix, draftNameOf } from '../../activities/reconcile-learn.ts';
import type { ApprovedFix } from '../../reconcile/learning/judge-repeats.ts';
import { approvalIdFrom, defaultTenancy } from '../../schema/ids.ts';
import { approvalDecisions, reconcileFixes } from '../../schema/tables/tables.ts';
import { queryAudit } from '../../store/audit.ts';
import { changeRule } from '../../store/reconcile-learning.ts';
import { findResource } from '../../store/resources.ts';
import { approvedFix } from '../reconcile/learning/approved-fix.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
let decisions = 0;
const learner = () =>
  createLearnFromFix({
    database: database(),
    audit: openAuditLog(database()),
    newDecisionId: () => {
      decisions += 1;
      return `dec_learn${decisions}`;
    },
  });

/** Puts an ended fix down as the loop does, with the answers of people. */
const insert = async (fix: ApprovedFix, people: readonly string[] = fix.approvers): Promise<ApprovedFix> => {
  const approvalId = approvalIdFrom(crypto.getRandomValues(new Uint8Array(10)));
  const { approvers: _approvers, beganAt, endedAt, ...row } = fix;
  await database()
    .insert(reconcileFixes)
    .values({ ...row, approvalId, beganAt: new Date(beganAt), endedAt: endedAt === null ? null : new Date(endedAt) });
  for (const person of people)
    await database()
      .insert(approvalDecisions)
      .values({ approvalId, person, verdict: 'approve', policies: [], stamp: 'login', decisionId: 'dec_a' });
  return { ...fix, approvalId };
};
const ruleOf = (name: string) => findResource(database(), { ...defaultTenancy, kind: 'ReconcileRule', name });
const five = (normalDigest: string): ApprovedFix[] =>
  ['a', 'a', 'b', 'b', 'c'].map((target, index) => ({
    ...approvedFix({ name: `n${index}`, target, people: [index % 2 ? 'ann' : 'bob'] }),
    normalDigest,
  }));

test('the fifth fix that held drafts a rule, once, with its tests, and says so in the audit', async () => {
  const learn = learner();
  const fixes = five('once');
  for (const fix of fixes.slice(0, 4)) expect(await learn(await insert(fix))).toEqual({ kind: 'nothing' });
  const last = await insert(fixes[4] as ApprovedFix);
  const name = draftNameOf(last);
  const lessons = await Promise.all([learn(last), learn(last), learner()(last)]);
  expect(lessons.filter(({ kind }) => kind === 'drafted')).toEqual([{ kind: 'drafted', rule: name }]);
  const rule = await ruleOf(name);
  expect(rule?.spec).toMatchObject({ state: 'draft', origin: { normalDigest: 'once' } });
  expect(rule?.spec.tests).toHaveLength(6);
  const rows = await queryAudit(database(), defaultTenancy, { action: 'learnRule', limit: 100 });
  expect(rows.filter(({ resource }) => resource === `ReconcileRule/${name}`)).toMatchObject([
    { operationId: last.id, facts: { change: 'drafted', fixes: 5, people: 2, targets: 3 } },
  ]);
});

test('one rollback among them, and nothing is drafted; a person may still write the rule', async () => {
  const fixes = five('bad');
  for (const fix of fixes) await insert(fix);
  await insert({ ...approvedFix({ name: 'gone', state: 'rolled-back' }), normalDigest: 'bad' });
  expect(await learner()(fixes[4] as ApprovedFix)).toEqual({ kind: 'nothing' });
  expect(await ruleOf(draftNameOf(fixes[4] as ApprovedFix))).toBeUndefined();
});

test('a learned rule that is live is demoted by its first fix that did not hold, for good; one that people wrote is not', async () => {
  const fixes = five('demote');
  for (const fix of fixes) await insert(fix);
  const learn = learner();
  const lesson = await learn(fixes[4] as ApprovedFix);
  if (lesson.kind !== 'drafted') throw new Error('nothing was drafted');
  const key = { ...defaultTenancy, name: lesson.rule };
  const byRule = (rule: string, state: ApprovedFix['state']) => approvedFix({ name: 'web', state, source: { kind: 'rule', rule } });
  // a draft does nothing, so nothing is demoted
  expect(await learn(byRule(lesson.rule, 'ineffective'))).toEqual({ kind: 'nothing' });
  await changeRule(database(), key, (spec) => ({ ...spec, state: 'live' }), 'ann');
  expect(await learn(byRule(lesson.rule, 'fixed'))).toEqual({ kind: 'nothing' });
  const failed = byRule(lesson.rule, 'ineffective');
  expect(await learn(failed)).toEqual({ kind: 'demoted', rule: lesson.rule });
  expect(await learn(failed)).toEqual({ kind: 'nothing' });
  expect((await ruleOf(lesson.rule))?.spec).toMatchObject({ state: 'demoted', demotedBy: `${failed.id} ended ineffective on shop` });
  // the same fix goes on being approved by people; the rule stays where it is until one of them promotes it
  expect(await learn(fixes[4] as ApprovedFix)).toEqual({ kind: 'nothing' });
  expect((await ruleOf(lesson.rule))?.spec.state).toBe('demoted');
  expect(await learn(byRule('reapply-declared', 'ineffective'))).toEqual({ kind: 'nothing' });
});
