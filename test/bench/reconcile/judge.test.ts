import { expect, test } from 'vitest';
import { isDetected, isDetectedInLooks } from '../../../bench/reconcile/judge/is-detected.ts';
import { isRightLayer, layerOf } from '../../../bench/reconcile/judge/layer-of.ts';
import { type ShownTarget, watchDetection } from '../../../bench/reconcile/judge/watch-detection.ts';
import type { SeenFix, SeenTarget } from '../../../bench/reconcile/keeper.ts';
import { pollUntil } from '../../support/poll-until.ts';

const drift = (kind: string, name: string, ...codes: string[]): ShownTarget['drifts'][number] => ({
  ...{ kind, object: { kind: 'Deployment', name } },
  symptoms: codes.map((code) => ({ code })),
});

test('a fault is detected when a row names it, not when some other is there', async () => {
  let shown: ShownTarget = { drifts: [], conflicts: [] };
  let looks = 0;
  const look = async () => {
    looks += 1;
    return shown;
  };
  const seen = (more = 2) => {
    const until = looks + more;
    return pollUntil(() => looks >= until || undefined, 'looks');
  };
  const watch = watchDetection(look, /^unhealthy Deployment\/web OOMKilled/);
  const blind = watchDetection(look, /^missing Deployment\/api/);
  const quiet = watchDetection(look, 'nothing');
  shown = { drifts: [drift('unhealthy', 'other', 'OOMKilled'), drift('unhealthy', 'web', 'NotReady')], conflicts: [] };
  await seen(6);
  shown = { drifts: [drift('unhealthy', 'web', 'OOMKilled')], conflicts: [] };
  await seen(6);
  const [found, notFound, falseAlarm] = await Promise.all([watch.end(), blind.end(), quiet.end()]);
  expect(found.rows).toEqual([
    'unhealthy Deployment/other OOMKilled',
    'unhealthy Deployment/web NotReady',
    'unhealthy Deployment/web OOMKilled',
  ]);
  expect(found.afterMs).toBeGreaterThan(0);
  expect([isDetected(notFound, 'kubernetes'), isDetected(falseAlarm, 'kubernetes')]).toEqual(['no', 'no']);
});

test('where nothing is wrong, what others own is no false alarm', async () => {
  const held = { object: { kind: 'Deployment', name: 'web' }, path: '/spec', why: 'autoscaled' };
  const watch = watchDetection(async () => ({ drifts: [], conflicts: [held] }), 'nothing');
  await new Promise((resolve) => setImmediate(resolve));
  expect(await watch.end()).toEqual({ rows: ['autoscaled Deployment/web /spec'], afterMs: 0, afterLooks: 0 });
});

test('in time is within two intervals', () => {
  expect([3999, 4001].map((afterMs) => isDetected({ afterMs }, 'platform'))).toEqual(['yes', 'late']);
});

test('or within as many looks as two intervals have room for, however long each takes', async () => {
  let isShown = false;
  let looks = 0;
  const look = async (): Promise<ShownTarget> => {
    looks += 1;
    return { drifts: isShown ? [drift('missing', 'web')] : [], conflicts: [] };
  };
  const watch = watchDetection(look, /^missing Deployment\/web/);
  await pollUntil(() => looks >= 2 || undefined, 'looks before it began');
  watch.begin();
  const from = looks;
  await pollUntil(() => looks >= from + 3 || undefined, 'looks that find nothing');
  isShown = true;
  await pollUntil(() => looks >= from + 5 || undefined, 'looks that find it');
  const found = await watch.end();
  // a look that was on its way when it began is not counted, nor those after the first that found it
  expect(found.afterLooks).toBeGreaterThanOrEqual(3);
  expect(found.afterLooks).toBeLessThanOrEqual(looks - from);
  expect([40, 41, undefined].map((afterLooks) => isDetectedInLooks({ afterLooks }, 'platform'))).toEqual([true, false, false]);
});

const fix = (state: SeenFix['state'], kind: 'rule' | 'model', op = 'reapply') =>
  ({ state, plan: { source: { kind }, steps: [{ operation: { op } }] } }) as unknown as SeenFix;
const target = (phase: SeenTarget['phase'], ...fixes: SeenFix[]): SeenTarget => ({ phase, message: '', fixes });

test('the layer is that of what mended it, not of what was tried in vain before', () => {
  const rescued = target('clean', fix('fixed', 'model'), fix('ineffective', 'rule'));
  expect(layerOf(rescued)).toBe('model');
  expect([isRightLayer('K03', rescued), isRightLayer('K01', rescued)]).toEqual([true, false]);
  expect(layerOf(target('clean', fix('fixed', 'rule')))).toBe('rule');
  expect(layerOf(target('contested'))).toBe('person');
  expect(layerOf(target('asking', fix('asked', 'rule', 'askOwner')))).toBe('person');
  expect(layerOf(target('clean'))).toBe('none');
});
