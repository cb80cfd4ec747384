import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../../schema/ids.ts';
import { chargedTo } from '../../../store/escalation-budget.ts';
import { startDiagnosedPlace } from '../../support/diagnosed-place.ts';
import { type DiagnosisPlace, propose } from '../../support/diagnosis-place.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace } from '../../support/reconcile-place.ts';

let diagnosis: DiagnosisPlace;
let place: ReconcilePlace;
let close: (() => Promise<void>) | undefined;
beforeAll(async () => {
  ({ diagnosis, place, close } = await startDiagnosedPlace());
});
afterAll(() => close?.());

/** What one answer of the model costs: 8,000 tokens at 1 and 1,000 at 10 micro-dollars. */
const answerCostMicroUsd = 18_000;
const usage = { promptTokens: 8_000, completionTokens: 1_000 };
const targetOf = (body: unknown): string => /(shop-\d+-[0-9a-f]{4})-[ab]/.exec(JSON.stringify(body))?.[1] ?? '';
const today = (): `day/${string}` => `day/${new Date().toISOString().slice(0, 10)}`;

/** A target of which two Deployments hang for a reason that no rule knows, as long as there are two of each. */
const declare = async (escalation: object): Promise<string> => {
  const target = place.newName();
  const hangs = [`${target}-a`, `${target}-b`];
  place
    .worldOf(target)
    .judgeBy(({ name }, { spec }) =>
      hangs.includes(name) && spec.replicas !== 1
        ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: 'it hangs', count: 1 }] }
        : { health: 'healthy', symptoms: [] },
    );
  const manifests = [...hangs, `${target}-c`, `${target}-d`].map((name) => deploymentManifest(name));
  await place.declare(target, { manifests, escalation: { role: 'diagnoser', ...escalation } });
  return target;
};
const settled = (target: string, states: string[]) =>
  pollUntil(
    async () => {
      const fixes = await place.fixesOf(target);
      await new Promise((resolve) => setTimeout(resolve, 200));
      return fixes.length === states.length &&
        states.every((state) => fixes.some((fix) => fix.state === state)) &&
        fixes.every(({ state }) => states.includes(state))
        ? fixes
        : undefined;
    },
    `${target}: ${states.join(', ')}`,
    150_000,
  );

test('over twenty targets that escalate at once the cap of each day holds, and what it no longer covers goes to people with its evidence', async () => {
  const dayMicroUsd = 30_000; // one answer, and not the worst that another may cost
  diagnosis.script.answer = ({ body }) => {
    const name = /Deployment\/shop\/(shop-\d+-[0-9a-f]{4}-[ab])/.exec(JSON.stringify(body))?.[1] ?? '';
    const operations = [{ op: 'scale', object: deploymentRef(name), replicas: 1 }];
    return { ...(propose({ diagnosis: 'Two are one too many.', confidence: 0.9, operations }) as { text: string }), usage };
  };
  const targets: string[] = [];
  for (let count = 0; count < 20; count += 1) targets.push(await declare({ costMicroUsdPerDay: dayMicroUsd }));
  await Promise.all(targets.map((target) => place.start(target)));
  for (const target of targets) {
    const fixes = await settled(target, ['awaiting-approval', 'asked']);
    const asked = fixes.find(({ state }) => state === 'asked');
    expect(asked, target).toMatchObject({ modelCalls: 0, costMicroUsd: 0, message: expect.stringContaining('budget-day') });
    expect(asked?.evidenceDigest).toMatch(/^\S{20,}$/);
    const evidence = JSON.parse(await diagnosis.contents.get(defaultTenancy, asked?.evidenceDigest ?? ''));
    expect(evidence).toMatchObject({ object: expect.stringContaining(target) });
    const spent = await chargedTo(place.database, { ...defaultTenancy, target, fixId: '' }, today());
    expect(spent).toBe(answerCostMicroUsd);
    expect(spent).toBeLessThanOrEqual(dayMicroUsd);
    expect(diagnosis.model.requests.filter(({ body }) => targetOf(body) === target)).toHaveLength(1);
  }
});

test('a budget that ends in the middle of a diagnosis makes no call more in the loop either, and a person gets what there is', async () => {
  diagnosis.model.requests.length = 0;
  diagnosis.script.answer = (_request, number) => ({
    toolCalls: [{ name: 'look', arguments: JSON.stringify({ path: `/log/${number}` }) }],
    usage,
  });
  const target = await declare({ costMicroUsd: 40_000 }); // two answers, and not the worst of a third
  await place.start(target);
  const fixes = await settled(target, ['asked', 'asked']);
  for (const fix of fixes) {
    expect(fix.message).toContain('budget-escalation');
    expect(fix.costMicroUsd).toBeLessThanOrEqual(40_000);
    expect(fix.modelCalls * answerCostMicroUsd).toBe(fix.costMicroUsd);
    expect(fix.modelCalls, 'it had begun').toBeGreaterThan(0);
    const evidence = JSON.parse(await diagnosis.contents.get(defaultTenancy, fix.evidenceDigest));
    expect(evidence).toMatchObject({ object: expect.stringContaining(target) });
  }
  expect(diagnosis.model.requests).toHaveLength(fixes.reduce((sum, { modelCalls }) => sum + modelCalls, 0));
  expect(await place.rowOf(target)).toMatchObject({ phase: 'asking' });
  expect(place.worldOf(target).effects).toEqual([]);
});
