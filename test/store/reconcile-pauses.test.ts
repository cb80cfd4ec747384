import { expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { listHoldsIn, placeHold } from '../../store/reconcile-holds.ts';
import { noteTarget } from '../../store/reconcile-notes.ts';
import { findPause, liftPause, listPauses, placePause } from '../../store/reconcile-pauses.ts';
import { findTarget, takeTarget, writeTarget } from '../../store/reconcile-targets.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const why = { reason: 'migration', pausedBy: 'ana', decisionId: 'dec_1' };
const in1h = () => new Date(Date.now() + 3_600_000);

test('a pause of a target is found before that of its project, ends by itself, and is lifted once', async () => {
  const key = { ...defaultTenancy, target: 'paused' };
  const now = new Date();
  expect(await findPause(database(), key, now)).toBeUndefined();
  await placePause(database(), { ...defaultTenancy, target: '', ...why, reason: 'all', untilAt: null });
  expect(await findPause(database(), key, now)).toMatchObject({ target: '', reason: 'all', untilAt: null });
  const untilAt = in1h();
  await placePause(database(), { ...key, ...why, untilAt });
  expect(await findPause(database(), key, now)).toMatchObject({ target: 'paused', reason: 'migration', untilAt: untilAt.toISOString() });
  expect(await findPause(database(), key, untilAt)).toMatchObject({ target: '' });
  expect((await listPauses(database(), defaultTenancy, now)).map(({ target }) => target)).toEqual(['', 'paused']);
  expect(await liftPause(database(), { ...defaultTenancy, target: '' })).toMatchObject({ reason: 'all' });
  expect(await liftPause(database(), { ...defaultTenancy, target: '' })).toBeUndefined();
  expect(await findPause(database(), { ...defaultTenancy, target: 'other' }, now)).toBeUndefined();
});

test('a note of a target is written when it changes, and never over what a workflow has said', async () => {
  const key = { ...defaultTenancy, target: 'noted' };
  const clean = { generation: 1, phase: 'clean', message: '', conflicts: [] } as const;
  expect(await noteTarget(database(), key, clean)).toBe(true);
  expect(await noteTarget(database(), key, clean)).toBe(false);
  expect(await noteTarget(database(), key, { ...clean, phase: 'unknown', message: 'no answer' })).toBe(true);
  expect(await findTarget(database(), key)).toMatchObject({ phase: 'unknown', message: 'no answer', fence: 0 });
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  await writeTarget(database(), key, fence, { phase: 'fixing', message: 'at it', drifts: [], conflicts: [], dueAt: null });
  expect(await noteTarget(database(), key, clean)).toBe(false);
  expect(await findTarget(database(), key)).toMatchObject({ phase: 'fixing', fence });
});

test('holds in force are listed for all targets at once', async () => {
  const key = { ...defaultTenancy, target: 'held' };
  await placeHold(database(), {
    ...key,
    id: 'hold_1',
    object: '',
    path: '',
    reason: 'hands off',
    heldBy: 'ana',
    decisionId: 'd',
    untilAt: in1h(),
  });
  expect(await listHoldsIn(database(), {}, new Date())).toMatchObject([{ target: 'held', id: 'hold_1' }]);
  expect(await listHoldsIn(database(), {}, in1h())).toEqual([]);
});
