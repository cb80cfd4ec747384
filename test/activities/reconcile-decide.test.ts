import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFixDecider, type FixQuestion } from '../../activities/reconcile-decide.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { listApprovals } from '../../store/approvals.ts';
import { applyResources } from '../../store/resources.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { deployment, fixOf, shopTarget } from '../support/fix-to-decide.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { saidWrongFixes } from '../support/wrong-fix-places.ts';

const tenancy = { org: 'default', project: 'default' };
const engine = createPolicyEngine({ name: 'reconcile-decide' });
let place: PolicyPlace;
let decider: ReturnType<typeof createFixDecider>;
let decisions = 0;

const shop = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'ReconcileTarget', metadata: { name: 'shop' } };
/** Puts a target into the tables; people cannot declare one before there is what keeps it. */
const declare = (target: object) => applyResources(place.database, [resourceSchemas.ReconcileTarget.parse(target)], 'guest');

beforeAll(async () => {
  place = await startPolicyPlace();
  await declare({ ...shop, spec: shopTarget() });
  expect(engine.load(tenancy, { policySets: [], bindings: [] })).toEqual({ ok: true });
  decider = createFixDecider({
    ...{ database: place.database, engine, audit: openAuditLog(place.database), mayApproveOwn: false },
    newDecisionId: () => {
      decisions += 1;
      return `dec_${String(decisions).padStart(20, '0')}`;
    },
  });
});
afterAll(() => place.close());

const ask = (fix = fixOf([{ op: 'restart', object: deployment }]), more: Partial<FixQuestion> = {}) => {
  const { project: _project, proposer: _proposer, mayApproveOwn: _own, approval: _approval, target, ...facts } = fix;
  return decider.decideFix({ ...facts, target: { ...tenancy, name: 'shop', generation: 1, spec: target.spec }, ...more });
};
const rowOf = (decisionId: string) => place.gateway.auditRow((row) => row.decisionId === decisionId);

describe('the decision about a fix', () => {
  test('that is refused asks nobody, and stands in the audit with its rule and the policies in force', async () => {
    const refused = saidWrongFixes.filter(({ policy, target }) => policy === 'refuse' && target === 'kubernetes');
    expect(refused.length).toBeGreaterThan(30);
    for (const { operations } of refused) {
      const answer = await ask(fixOf(operations));
      expect(answer).toMatchObject({ kind: 'refuse', rule: 'platform/fix-traits', policyVersion: engine.versionOf(tenancy) });
      expect(await rowOf(answer.decisionId)).toMatchObject({
        ...{ action: 'applyFix', kind: 'refusal', decision: 'deny', outcome: 'refused', policyVersion: answer.policyVersion },
        ...{ resource: 'ReconcileTarget/shop', operationId: 'fix_0123456789abcdef', facts: { rule: 'platform/fix-traits' } },
      });
    }
    expect(await listApprovals(place.database, tenancy, { state: 'all', limit: 10 })).toEqual([]);
  });

  test('can be explained later out of the audit alone, as it was decided', async () => {
    const answer = await ask(fixOf([{ op: 'scale', object: deployment, replicas: 3 }]));
    expect(answer).toMatchObject({ kind: 'ask', need: { rules: [{ policy: 'platform/fix-attended', count: 1 }] }, owner: 'guest' });
    const { body, status } = await place.request('GET', `/default/default/policy/decisions/${answer.decisionId}`);
    expect([status, JSON.stringify(body)]).toEqual([200, expect.stringContaining('platform/fix-attended')]);
  });

  test('looks at people as they are in the store: who has no role or is not there counts for nothing', async () => {
    const fix = fixOf([{ op: 'scale', object: deployment, replicas: 3 }]);
    const approval = (...people: string[]) => ({ approval: { planDigest: fix.planDigest, people } });
    expect((await ask(fix, approval('admin'))).kind).toBe('apply');
    expect((await ask(fix, approval('nobody'))).kind).toBe('ask');
    // guest declared the target
    expect(await ask(fix, approval('guest'))).toMatchObject({ kind: 'refuse', rule: 'platform/fix-owner' });
  });
});

describe('a diagnosis', () => {
  const target = { ...tenancy, name: 'shop' };
  test('is not made on behalf of a person who may not use the role', async () => {
    await expect(decider.authoriseDiagnosis(target, 'diagnoser')).rejects.toMatchObject({ code: 'not_permitted' });
    await expect(decider.authoriseDiagnosis({ ...target, name: 'unknown' }, 'diagnoser')).rejects.toMatchObject({ code: 'not_permitted' });
  });
  test('is, where a binding lets that person use it', async () => {
    const spec = { subjects: [{ group: 'guests' }], toolsets: [], models: [], agentRoles: ['diagnoser'], fleets: [] } as never;
    engine.load(tenancy, { policySets: [], bindings: [{ name: 'b', spec }] });
    const { owner, launchDecisionId } = await decider.authoriseDiagnosis(target, 'diagnoser');
    expect(owner).toBe('guest');
    expect(await rowOf(launchDecisionId)).toMatchObject({ action: 'useRole', decision: 'allow', person: 'guest', role: 'diagnoser' });
  });
});

describe('a target whose role could write', () => {
  const role = (toolset: string) => ({
    ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'AgentRole', metadata: { name: 'diagnoser' } },
    spec: { instructions: 'Look.', model: 'small', toolset, output: { type: 'object' } },
  });
  const toolset = (name: string, tools: unknown) => ({
    ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Toolset', metadata: { name } },
    spec: { servers: [{ name: 'counting', tools }], naming: 'plain' },
  });
  const target = {
    ...shop,
    spec: { type: 'kubernetes', namespace: 'shop', manifests: [], escalation: { role: 'diagnoser' } },
  };
  const apply = (...documents: object[]) => place.request('POST', '/apply', { body: { documents } });

  test('is not made so by a change of its role or toolset, which is refused with the tools by name', async () => {
    await place.gateway.apply(
      { kind: 'Provider', metadata: { name: 'p' }, spec: { kind: 'openai-compatible', baseUrl: 'http://127.0.0.1:9/v1' } },
      { kind: 'Model', metadata: { name: 'small' }, spec: { routes: [{ provider: 'p', model: 'm' }] } },
    );
    expect((await apply(toolset('looking', ['look']), role('looking'))).status).toBe(200);
    expect((await apply(target)).status).toBe(200);
    const wide = await apply(role('counting'));
    expect(wide.status).toBe(422);
    expect(JSON.stringify(wide.body)).toMatch(/diagnoses for the target shop.*counting\/act, not vetted as read-only/);
    expect(JSON.stringify((await apply(toolset('looking', 'all'))).body)).toContain('counting/act');
    expect((await apply(toolset('looking', ['look', 'fail']))).status).toBe(200);
  });

  test('and a fleet of the name of the reconciler is refused', async () => {
    const fleet = {
      apiVersion: 'quarterdeck.dev/v1alpha1',
      kind: 'Fleet',
      metadata: { name: 'reconcile' },
      spec: { stages: [{ name: 's', role: 'diagnoser' }] },
    };
    expect(JSON.stringify((await apply(fleet)).body)).toContain("the reconciler's own");
  });
});
