import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { queryAudit } from '../../store/audit.ts';
import { listSteps } from '../../store/reconcile-steps.ts';
import { deploymentRef, type ReconcilePlace, startReconcilePlace } from '../support/reconcile-place.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
// a story of many activities, on a machine that may be busy
vi.setConfig({ testTimeout: 90_000 });
let place: ReconcilePlace;
beforeAll(async () => {
  place = await startReconcilePlace({ database: database() });
});
afterAll(() => place.close());

test('what was deleted by hand is applied again by a rule: no model is asked, and the audit names the rule', async () => {
  const name = place.newName();
  await place.declare(name);
  const before = place.world.text();
  place.world.remove(deploymentRef());
  await place.start(name);
  await place.ended(name);
  expect(place.world.text()).toBe(before);
  const [fix, ...others] = await place.fixesOf(name);
  expect(others).toEqual([]);
  expect(fix).toMatchObject({
    state: 'fixed',
    modelCalls: 0,
    costMicroUsd: 0,
    plan: { source: { kind: 'rule', rule: 'reapply-declared' } },
  });
  expect(await place.rowOf(name)).toMatchObject({ phase: 'clean', drifts: [], dueAt: null });
  expect(await listSteps(database(), fix?.id ?? '')).toMatchObject([{ direction: 'do', step: 0, outcome: { kind: 'applied' } }]);
  const rows = await queryAudit(database(), { org: 'default', project: 'default' }, AuditQuerySchema.parse({ action: 'applyFix' }));
  const ofFix = rows.filter(({ operationId }) => operationId?.startsWith(fix?.id ?? '-'));
  expect(ofFix.map(({ kind }) => kind).sort()).toEqual(['change', 'intent', 'outcome']);
  expect(ofFix.find(({ kind }) => kind === 'outcome')).toMatchObject({
    decisionId: fix?.decisionId,
    policyVersion: fix?.policyVersion,
    outcome: 'ok',
    facts: { rule: 'reapply-declared', plan: fix?.planDigest, object: 'Deployment/shop/web', operation: 'reapply' },
  });
  const again = place.world.effects.length;
  await place.start(name);
  await place.ended(name);
  expect(place.world.effects.length, 'a clean target is left as it is').toBe(again);
});
