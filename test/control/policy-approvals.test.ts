import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import type { BacktestReport } from '../../schema/policy-backtest.ts';
import type { DecisionExplanation } from '../../schema/policy-explanation.ts';
import { getApproval } from '../../store/approvals.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { approvalEvent } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';

const agentsCall = 'principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource';
const asks = `@id("ask") @approve("role:reviewer") @reason("It leaves the house.")
forbid (${agentsCall}) when { context.arguments.paths.contains("/out") } unless { context.approvedCall };`;
const grants = `@id("list") permit (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"listTool", resource);
@id("approved") @approve("role:reviewer")
permit (principal is Quarterdeck::Agent in Quarterdeck::AgentRole::"default/default/clerk", action == Quarterdeck::Action::"callTool", resource)
when { context.approvedCall };`;

let place: PolicyPlace;
/** The decisions of a call of each role: that a person is needed, and the allow after the approval. */
const decisions: Record<string, { needed: string; allowed: string }> = {};

const row = (decision: string, role: string) =>
  pollUntil(async () => {
    const { rows } = await place.database.$client.query(
      `select decision_id from audit_events where role = $1 and decision = $2 and basis is not null and kind in ('intent', 'refusal')`,
      [role, decision],
    );
    return rows[0]?.decision_id as string | undefined;
  }, `the ${decision} of ${role}`);

beforeAll(async () => {
  place = await startPolicyPlace({
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
      { kind: 'PolicySet', metadata: { name: 'outgoing' }, spec: { cedar: asks } },
      { kind: 'PolicySet', metadata: { name: 'clerks' }, spec: { cedar: grants } },
    ],
  });
  for (const role of ['reader', 'clerk']) {
    const token = await place.agentToken(role);
    const answer = await place.call(token, 'act', { path: '/out' });
    expect(answer.error.data.code).toBe('needs_person');
    const key = { ...defaultTenancy, id: answer.error.data.approvalId as string };
    const { digest, rules } = await getApproval(place.database, key);
    const given = {
      person: 'rita',
      verdict: 'approve',
      digest,
      policies: rules.map(({ policy }) => policy),
      stamp: 'token',
      comment: null,
    };
    await decideApproval(
      place.database,
      openAuditLog(place.database),
      key,
      { ...given, verdict: 'approve', decisionId: 'dec_r' },
      approvalEvent('approve'),
      {
        mayApproveOwn: false,
      },
    );
    expect((await place.call(token, 'act', { path: '/out' })).result).toBeDefined();
    decisions[role] = { needed: await row('deny', role), allowed: await row('allow', role) };
  }
});
afterAll(() => place.close());

const explain = async (decisionId: string | undefined): Promise<DecisionExplanation> =>
  (await place.request('GET', `/default/default/policy/decisions/${decisionId}`)).body;

test('an explanation of a call that needed a person names the rule that asks, and decides the same again', async () => {
  expect(await explain(decisions.reader?.needed)).toMatchObject({
    effect: 'needsPerson',
    again: { effect: 'needsPerson', policies: ['policyset/outgoing/ask'] },
    policies: [{ id: 'policyset/outgoing/ask', annotations: { approve: 'role:reviewer', reason: 'It leaves the house.' } }],
    facts: expect.arrayContaining([{ place: 'context.approvedCall', value: false }]),
  });
  expect((await place.qd(['policy', 'explain', decisions.reader?.needed ?? ''])).stdout).toContain('needs a person (callTool)');
});

test('an explanation of the call that was approved says who approved it', async () => {
  const { effect, again, facts } = await explain(decisions.reader?.allowed);
  expect({ effect, again: again?.effect }).toEqual({ effect: 'allow', again: 'allow' });
  expect(facts).toContainEqual({ place: 'context.approvedCall', value: true });
  expect(facts).toContainEqual({ place: 'context.approvers', value: ['Quarterdeck::User::"default/rita"'] });
});

const backtest = async (name: string, cedar: string): Promise<BacktestReport> => {
  const document = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'PolicySet', metadata: { name }, spec: { cedar } };
  return (await place.request('POST', '/default/default/policy/backtest', { body: { documents: [document] } })).body;
};

test('a backtest takes each decision once: nothing flips where nothing changes, and a rule that no longer asks lets through', async () => {
  expect(await backtest('outgoing', asks)).toMatchObject({ decided: 4, flips: [] });
  const open = await backtest('outgoing', asks.replace('"/out"', '"/elsewhere"'));
  // of the clerk the permit asks too
  expect(open.flips.map(({ role, from, to, count }) => ({ role, from, to, count }))).toEqual([
    { role: 'reader', from: 'needsPerson', to: 'allow', count: 1 },
  ]);
  const closed = await backtest('outgoing', `@id("never") forbid (${agentsCall}) when { context.arguments.paths.contains("/out") };`);
  expect(closed.flips).toHaveLength(4);
  expect(closed.flips.map(({ role, from, to, count }) => ({ role, from, to, count }))).toEqual(
    expect.arrayContaining(
      ['reader', 'clerk'].flatMap((role) => ['needsPerson', 'allow'].map((from) => ({ role, from, to: 'deny', count: 1 }))),
    ),
  );
});

test('a suggestion keeps the approval: what only approved calls did is permitted by the rule that asks, and by nothing beside it', async () => {
  const clerk = (await place.request('GET', '/default/default/policy/suggestions/clerk')).body;
  expect(clerk.policySet.spec.cedar).toContain('"listTool"');
  expect(clerk.policySet.spec.cedar).not.toContain('"callTool"');
  expect(clerk.narrowed[0].notes.join()).toContain('policyset/clerks/approved');
  expect(clerk.check).toEqual({ allowed: 1, refused: [] });
  // of the reader the forbid asks, whatever is permitted
  const reader = (await place.request('GET', '/default/default/policy/suggestions/reader')).body;
  expect(reader.policySet.spec.cedar).toContain('"callTool"');
  expect(reader.check).toEqual({ allowed: 1, refused: [] });
  expect((await backtest(reader.policySet.metadata.name, reader.policySet.spec.cedar)).flips).toEqual([]);
});

test('a golden decision may be that a person is needed; one that expects an allow or a deny is red then', async () => {
  const golden = (expected: string, approvedBy: string[] = []) => ({
    name: `${expected} ${approvedBy.join()}`,
    principal: { agentRole: 'reader' },
    action: 'callTool',
    resource: { tool: 'counting/act', toolset: 'counting' },
    context: { paths: ['/out'], approvedBy },
    expect: expected,
  });
  const cases = [golden('needsPerson'), golden('allow', ['rita']), golden('allow'), golden('deny')];
  const document = {
    ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'PolicySet', metadata: { name: 'outgoing' } },
    spec: { cedar: asks, golden: cases },
  };
  const { body } = await place.request('POST', '/default/default/policy/validate', { body: { documents: [document] } });
  expect(body.golden.map(({ expect: wanted, found }: { expect: string; found: string }) => [wanted, found])).toEqual([
    ['needsPerson', 'needsPerson'],
    ['allow', 'allow'],
    ['allow', 'needsPerson'],
    ['deny', 'needsPerson'],
  ]);
});
