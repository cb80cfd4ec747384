import { expect, test } from 'vitest';
import { defaultTenancy, fixIdFrom } from '../../schema/ids.ts';
import { closeFix, findFix, listFixes, listOpenFixes, moveFix, openFix } from '../../store/reconcile-fixes.ts';
import { liftHold, listHolds, placeHold } from '../../store/reconcile-holds.ts';
import { beginStep, endStep, listSteps } from '../../store/reconcile-steps.ts';
import {
  findTarget,
  freezeTarget,
  holdsFence,
  listDueTargets,
  listTargetRows,
  takeTarget,
  thawTarget,
  writeTarget,
} from '../../store/reconcile-targets.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
let serial = 0;
const newTarget = () => {
  serial += 1;
  return { ...defaultTenancy, target: `shop-${serial}` };
};
const newId = () => fixIdFrom(crypto.getRandomValues(new Uint8Array(10)));
const report = { phase: 'drifted', message: 'one drift', drifts: [], conflicts: [], dueAt: null } as const;
const newFix = (key: ReturnType<typeof newTarget>, fingerprint = 'missing Deployment @ x') =>
  ({ ...key, id: newId(), fingerprint, faultKind: 'missing Deployment', state: 'checking' }) as const;

test('who takes a target last holds it, and the one before writes nothing any more', async () => {
  const key = newTarget();
  const first = await takeTarget(database(), key, { generation: 1 });
  const second = await takeTarget(database(), key, { generation: 2 });
  expect(second.fence).toBeGreaterThan(first.fence);
  expect(await holdsFence(database(), key, first.fence)).toBe(false);
  expect(await holdsFence(database(), key, second.fence)).toBe(true);
  expect(await writeTarget(database(), key, first.fence, { ...report, drifts: [], conflicts: [] })).toBe('lost');
  expect(await openFix(database(), newFix(key), first.fence)).toBeUndefined();
  expect(await findTarget(database(), key)).toMatchObject({ generation: 2, phase: 'drifted', message: '' });
});

test('what stands there already is not written again', async () => {
  const key = newTarget();
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  const dueAt = new Date(Date.now() + 60_000);
  const conflict = { object: { apiVersion: 'v1', kind: 'A', namespace: '', name: 'a' }, path: '/x', manager: 'm', why: 'owned' } as const;
  const written = { ...report, drifts: [], conflicts: [conflict], dueAt };
  expect(await writeTarget(database(), key, fence, written)).toBe('written');
  const { changedAt } = (await findTarget(database(), key)) ?? {};
  expect(await writeTarget(database(), key, fence, written)).toBe('unchanged');
  expect((await findTarget(database(), key))?.changedAt).toBe(changedAt);
  expect(await writeTarget(database(), key, fence, { ...written, dueAt: null })).toBe('written');
});

test('a target that is due is found when its time has come', async () => {
  const key = newTarget();
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  const dueAt = new Date(Date.now() + 60_000);
  await writeTarget(database(), key, fence, { ...report, drifts: [], conflicts: [], dueAt });
  expect(await listDueTargets(database(), new Date())).not.toContainEqual(key);
  expect(await listDueTargets(database(), dueAt)).toContainEqual(key);
  expect((await listTargetRows(database(), defaultTenancy)).map(({ target }) => target)).toContain(key.target);
});

test('a frozen target stays frozen whoever takes it, until a person lifts it', async () => {
  const key = newTarget();
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  expect(await freezeTarget(database(), key, fence - 1, 'no')).toBe(false);
  expect(await freezeTarget(database(), key, fence, 'step 1 could not be undone')).toBe(true);
  expect(await takeTarget(database(), key, { generation: 1 })).toMatchObject({ frozen: true });
  expect(await thawTarget(database(), key)).toBe(true);
  expect(await thawTarget(database(), key)).toBe(false);
  expect(await takeTarget(database(), key, { generation: 1 })).toMatchObject({ frozen: false });
  expect(await listDueTargets(database(), new Date(Date.now() + 1000))).toContainEqual(key);
});

test('fifty who see one fault at once open one fix', async () => {
  const key = newTarget();
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  const opened = await Promise.all(Array.from({ length: 50 }, () => openFix(database(), newFix(key), fence)));
  expect(new Set(opened.map((one) => one?.fix.id)).size).toBe(1);
  expect(opened.filter((one) => one?.isNew).length).toBe(1);
  const other = await openFix(database(), newFix(key, 'another fault'), fence);
  expect(other?.isNew).toBe(true);
  expect((await listOpenFixes(database(), key)).length).toBe(2);
});

test('a fix moves from the states that are named, ends once, and the same fault may then be tried again', async () => {
  const key = newTarget();
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  const fix = newFix(key);
  await openFix(database(), fix, fence);
  expect(await moveFix(database(), fix, ['applying'], 'verifying', {}, fence)).toBe('elsewhere');
  expect(await moveFix(database(), fix, ['checking', 'applying'], 'applying', { planDigest: 'd', message: 'm' }, fence)).toBe('moved');
  expect(await moveFix(database(), fix, ['checking', 'applying'], 'applying', {}, fence), 'a retry').toBe('moved');
  expect(await moveFix(database(), fix, ['applying'], 'verifying', {}, fence - 1)).toBe('lost');
  expect(await closeFix(database(), fix, 'fixed', { message: 'gone' }, fence)).toBe('moved');
  expect(await closeFix(database(), fix, 'failed', {}, fence)).toBe('elsewhere');
  expect(await findFix(database(), fix.id)).toMatchObject({
    state: 'fixed',
    planDigest: 'd',
    message: 'gone',
    endedAt: expect.any(String),
  });
  const again = await openFix(database(), newFix(key), fence);
  expect(again).toMatchObject({ isNew: true });
  expect((await listFixes(database(), key, key.target)).map(({ id }) => id)).toEqual([again?.fix.id, fix.id]);
  expect(await listFixes(database(), key, key.target, { limit: 1 })).toHaveLength(1);
  expect(await listFixes(database(), key, key.target, { sinceAt: new Date(Date.now() + 60_000) })).toEqual([]);
});

test('a step is put down before it is tried, keeps its operation id, and its outcome is written once', async () => {
  const key = { fixId: newId(), direction: 'do', step: 0 } as const;
  const begun = await beginStep(database(), { ...key, fence: 1, beforeHash: 'b' });
  expect(begun).toMatchObject({ outcome: null, operationId: `${key.fixId}/do/0`, fence: 1 });
  expect(await beginStep(database(), { ...key, fence: 2, beforeHash: 'other' })).toMatchObject({ fence: 2, beforeHash: 'b' });
  expect(await endStep(database(), key, { kind: 'unknown', message: 'reset' })).toBe(true);
  const applied = { kind: 'applied', version: '2', hash: 'h', uid: 'u', at: '2026-11-30T00:00:00Z' } as const;
  expect(await endStep(database(), key, applied, 'h')).toBe(true);
  expect(await endStep(database(), key, { kind: 'failed', reason: 'fenced', message: '' })).toBe(false);
  await beginStep(database(), { ...key, direction: 'undo', fence: 3, beforeHash: 'h' });
  expect(await listSteps(database(), key.fixId)).toMatchObject([
    { direction: 'do', outcome: applied, afterHash: 'h', endedAt: expect.any(String) },
    { direction: 'undo', outcome: null },
  ]);
});

test('a hold is in force until its time, or until it is lifted', async () => {
  const key = newTarget();
  const untilAt = new Date(Date.now() + 60_000);
  const hold = { ...key, id: 'hold_1', object: '', path: '', reason: 'incident', heldBy: 'ada', decisionId: 'dec_1', untilAt };
  await placeHold(database(), hold);
  await placeHold(database(), { ...hold, reason: 'other' });
  expect(await listHolds(database(), key, new Date())).toMatchObject([{ id: 'hold_1', reason: 'incident' }]);
  expect(await listHolds(database(), key, untilAt)).toEqual([]);
  const liftedAt = new Date();
  expect(await liftHold(database(), hold, liftedAt)).toMatchObject({ heldBy: 'ada', untilAt: liftedAt.toISOString() });
  expect(await liftHold(database(), hold, liftedAt)).toBeUndefined();
  expect(await listHolds(database(), key, liftedAt)).toEqual([]);
  // it is one that has ended, as any other that has
  expect(await listHolds(database(), key, new Date(liftedAt.getTime() - 1))).toMatchObject([{ id: 'hold_1', heldBy: 'ada' }]);
});
