import { describe, expect, test } from 'vitest';
import { diffTarget } from '../../reconcile/diff-target.ts';
import type { PastFix } from '../../reconcile/past-fix.ts';
import { explainDrifts, type WhatNowInput, whatNow } from '../../reconcile/what-now.ts';
import type { Desired, Observation, ObservedObject } from '../../schema/reconcile/observation.ts';
import { now, objectOf, planOf, seen, targetOf } from './support.ts';

const config = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name });
const inWave = (wave: number) => ({ metadata: { annotations: { 'quarterdeck.dev/wave': String(wave) } } });
const declare = (...waves: [string, number][]): Desired => ({
  status: 'read',
  digest: 'd',
  objects: waves.map(([name, wave]) => ({ ref: config(name), state: inWave(wave), wave })),
});
const there = (name: string, wave = 0, more: Partial<ObservedObject> = {}) => objectOf({ ref: config(name), state: inWave(wave), ...more });
/** What is decided of a target, with its drifts as they are found. */
const inputOf = (desired: Desired, observation: Observation, more: Partial<WhatNowInput> = {}): WhatNowInput => {
  const target = targetOf({ prune: true });
  const { drifts, conflicts } = diffTarget({ target, desired, observation, holds: [], now });
  return { target, drifts, conflicts, fixes: [], holds: [], desired, observation, frozen: false, pause: null, now, ...more };
};
const fixOf = (fingerprint: string, state: PastFix['state'], minutesAgo: number, more: Partial<PastFix> = {}): PastFix => {
  const at = new Date(now - minutesAgo * 60_000).toISOString();
  const plan = { ...planOf({ op: 'reapply', object: config('a') }), source: { kind: 'rule' as const, rule: 'reapply-declared' } };
  return { id: `fix_${minutesAgo}`, fingerprint, state, plan, normalDigest: '', evidenceDigest: '', beganAt: at, endedAt: at, ...more };
};
const prunedOf = (name: string, minutesAgo: number) =>
  fixOf(`extra ${name}`, 'fixed', minutesAgo, {
    plan: { ...planOf({ op: 'prune', object: config(name) }), source: { kind: 'rule', rule: 'prune-undeclared' } },
  });

test('a later wave waits until the earlier one is there and healthy, not only until it is applied', () => {
  const desired = declare(['a', 0], ['b', 1]);
  expect(whatNow(inputOf(desired, seen()))).toMatchObject({ next: 'rule', drift: { object: { name: 'a' } } });
  const progressing = inputOf(desired, seen(there('a', 0, { health: 'progressing' })));
  expect(whatNow(progressing)).toMatchObject({ next: 'wait', why: 'wave', drift: { object: { name: 'b' } } });
  expect(whatNow(progressing).because).toContain('ConfigMap/shop/a of wave 0');
  expect(whatNow(inputOf(desired, seen(there('a'))))).toMatchObject({ next: 'rule', drift: { object: { name: 'b' } } });
  // a kind without a health of its own is well by being there
  expect(whatNow(inputOf(desired, seen(there('a', 0, { health: 'unknown' }))))).toMatchObject({ next: 'rule' });
});

test('what is declared no more goes after all is healthy, the highest wave first and gone before the next', () => {
  const desired = declare(['a', 0], ['b', 0], ['c', 0], ['d', 0]);
  const all = ['a', 'b', 'c', 'd'].map((name) => there(name));
  const old = [there('low', 1), there('high', 2)];
  expect(whatNow(inputOf(desired, seen(...all, ...old)))).toMatchObject({
    next: 'rule',
    drift: { kind: 'extra', object: { name: 'high' } },
  });
  const [first, ...rest] = all as [ObservedObject, ...ObservedObject[]];
  expect(whatNow(inputOf(desired, seen({ ...first, health: 'degraded' }, ...rest, ...old)))).not.toMatchObject({
    drift: { kind: 'extra' },
  });
  const leaving = there('high', 2, { deletingSince: '2026-11-30T11:59:00Z' });
  expect(whatNow(inputOf(desired, seen(...all, there('low', 1), leaving)))).toMatchObject({ next: 'wait', why: 'wave' });
});

test('a mass is not deleted one by one: what is to go and what went within the hour count together', () => {
  const desired = declare(...Array.from({ length: 20 }, (_, index): [string, number] => [`k${index}`, 0]));
  const kept = Array.from({ length: 20 }, (_, index) => there(`k${index}`));
  const extra = (count: number) => Array.from({ length: count }, (_, index) => there(`x${index}`));
  expect(whatNow(inputOf(desired, seen(...kept, ...extra(5))))).toMatchObject({ next: 'rule' });
  const six = whatNow(inputOf(desired, seen(...kept, ...extra(6))));
  expect(six).toMatchObject({ next: 'wait', why: 'mass-prune', untilMs: null });
  expect(six.because).toContain('6 objects are declared no more');
  // five now and one of half an hour ago: waits until that hour is over
  const fixes = [prunedOf('gone', 30)];
  expect(whatNow(inputOf(desired, seen(...kept, ...extra(5)), { fixes }))).toMatchObject({
    why: 'mass-prune',
    untilMs: now + 30 * 60_000,
  });
  // half of a small target, more than one object
  expect(whatNow(inputOf(declare(['a', 0]), seen(there('a'), ...extra(3))))).toMatchObject({ why: 'mass-prune' });
  expect(whatNow(inputOf(declare(['a', 0]), seen(there('a'), ...extra(1))))).toMatchObject({ next: 'rule' });
});

test('a frozen target and a paused one change nothing, and say who or what did it', () => {
  const input = inputOf(declare(['a', 0]), seen());
  expect(whatNow({ ...input, frozen: true })).toMatchObject({ next: 'wait', why: 'frozen', untilMs: null });
  // frozen is said even when nothing differs: a person lifts it
  expect(whatNow({ ...inputOf(declare(['a', 0]), seen(there('a'))), frozen: true })).toMatchObject({ why: 'frozen' });
  const untilAt = new Date(now + 60_000).toISOString();
  const pause = { reason: 'migration', pausedBy: 'bea', untilAt };
  expect(whatNow({ ...input, pause })).toMatchObject({ why: 'paused', untilMs: now + 60_000, because: 'Paused by bea: migration' });
  expect(whatNow({ ...input, pause: { ...pause, untilAt: null } })).toMatchObject({ why: 'paused', untilMs: null });
  expect(whatNow({ ...input, pause: { ...pause, untilAt: new Date(now - 1).toISOString() } })).toMatchObject({ next: 'rule' });
});

test('what is contested is said though something else waits, and with it when that is due', () => {
  const input = inputOf(declare(['a', 0], ['b', 0]), seen());
  const [a, b] = input.drifts.map(({ fingerprint }) => fingerprint) as [string, string];
  const fixes = [
    ...[60, 50, 40].map((minutes) => fixOf(a, 'fixed', minutes)),
    fixOf(a, 'refused', 30, { plan: null }),
    fixOf(b, 'failed', 1),
  ];
  const decided = whatNow({ ...input, fixes });
  expect(decided).toMatchObject({ next: 'contested', drift: { fingerprint: a } });
  const waiting = explainDrifts({ ...input, fixes })[1];
  expect(waiting).toMatchObject({ next: 'wait', why: 'cooldown' });
  expect('untilMs' in decided && 'untilMs' in (waiting ?? {}) && decided.untilMs).toBe((waiting as { untilMs: number }).untilMs);
});

test('after failures the pause doubles, spread by the fault, up to the block', () => {
  const input = inputOf(declare(['a', 0]), seen());
  const fingerprint = input.drifts[0]?.fingerprint ?? '';
  const pauseAfter = (...minutes: number[]) => {
    const decided = whatNow({ ...input, fixes: minutes.map((at) => fixOf(fingerprint, 'failed', at, { plan: null })) });
    return decided.next === 'wait' ? (decided.untilMs ?? 0) - now : 0;
  };
  // one failure: between once and twice the cooldown of five minutes; two: between twice and four times
  expect(pauseAfter(0)).toBeGreaterThanOrEqual(300_000);
  expect(pauseAfter(0)).toBeLessThanOrEqual(600_000);
  expect(pauseAfter(0, 1)).toBeGreaterThanOrEqual(600_000);
  expect(pauseAfter(0, 1)).toBeLessThanOrEqual(1_200_000);
  expect(pauseAfter(0, 1, 2)).toBe(3_600_000);
});

test('who declares anew has it tried anew: what failed for an earlier declaration blocks nothing, and a block names what failed last', () => {
  const input = inputOf(declare(['a', 0]), seen());
  const fingerprint = input.drifts[0]?.fingerprint ?? '';
  const failed = (generation: number) =>
    [7, 8, 9].map((at) => {
      const fix = fixOf(fingerprint, 'stale', at);
      return { ...fix, plan: fix.plan && { ...fix.plan, generation } };
    });
  const blocked = whatNow({ ...input, fixes: failed(input.target.generation) });
  expect(blocked).toMatchObject({ next: 'wait', why: 'blocked' });
  expect(blocked.because).toBe(
    '3 fixes in a row of ConfigMap/shop/a came to nothing, fix_7 last: nothing is tried there for a time, unless it is declared anew.',
  );
  expect(whatNow({ ...input, fixes: failed(input.target.generation - 1) })).toMatchObject({ next: 'rule' });
});

test('what people said no to is not offered again before the block is over', () => {
  const input = inputOf(declare(['a', 0]), seen());
  const fingerprint = input.drifts[0]?.fingerprint ?? '';
  const denied = fixOf(fingerprint, 'denied', 30, { plan: planOf({ op: 'restart', object: config('a') }) });
  expect(whatNow({ ...input, fixes: [denied] })).toMatchObject({ next: 'wait', why: 'answered', untilMs: now + 30 * 60_000 });
  expect(whatNow({ ...input, fixes: [{ ...denied, endedAt: new Date(now - 3_600_000).toISOString() }] })).toMatchObject({ next: 'rule' });
});

test('an object on its way out is waited for, and escalated only when it is stuck', () => {
  const leaving = there('a', 0, { deletingSince: '2026-11-30T11:59:30Z', health: 'progressing' });
  expect(whatNow(inputOf(declare(['a', 0]), seen(leaving)))).toMatchObject({ next: 'wait', why: 'deleting' });
  expect(whatNow(inputOf(declare(['a', 0]), seen({ ...leaving, health: 'degraded' })))).toMatchObject({ next: 'rule' });
});

describe('a model', () => {
  const modelPlan = planOf({ op: 'restart', object: config('a') });
  const pauseOf = (limits: object, states: [PastFix['state'], number][]) => {
    const input = inputOf(declare(['a', 0]), seen());
    const fixes = states.map(([state, at]) => fixOf(input.drifts[0]?.fingerprint ?? '', state, at, { plan: modelPlan }));
    const decided = whatNow({ ...input, target: targetOf({ limits }), fixes });
    return decided.next === 'wait' && decided.why === 'cooldown' ? (decided.untilMs ?? 0) - now : 0;
  };

  test('whose proposal was refused is not asked again at once, though no cooldown is set, and ever later', () => {
    const [once, twice] = [
      pauseOf({ cooldownSeconds: 0 }, [['refused', 0]]),
      pauseOf({ cooldownSeconds: 0 }, [
        ['refused', 0],
        ['refused', 3],
      ]),
    ];
    expect(once).toBeGreaterThanOrEqual(60_000);
    expect(once).toBeLessThanOrEqual(120_000);
    expect(twice).toBeGreaterThanOrEqual(2 * 60_000);
    expect(pauseOf({ cooldownSeconds: 0 }, [['ineffective', 0]]), 'nor one that did not help').toBeGreaterThanOrEqual(60_000);
    expect(pauseOf({ cooldownSeconds: 600 }, [['refused', 0]]), 'a longer cooldown stands').toBeGreaterThanOrEqual(600_000);
  });

  test('plans anew at once where somebody changed the object meanwhile: that is news', () => {
    expect(pauseOf({ cooldownSeconds: 0 }, [['stale', 0]])).toBe(0);
  });
});

describe('an object to which something was done that was undone', () => {
  const stuck = (code: string) => there('a', 0, { health: 'degraded', symptoms: [{ code, message: '', count: 1 }] });
  const before = inputOf(declare(['a', 0]), seen(stuck('Stuck')));
  const undone = (minutesAgo: number) =>
    fixOf(before.drifts[0]?.fingerprint ?? '', 'ineffective', minutesAgo, { plan: planOf({ op: 'restart', object: config('a') }) });
  const decidedAfter = (code: string, minutesAgo: number) =>
    whatNow({ ...inputOf(declare(['a', 0]), seen(stuck(code))), fixes: [undone(minutesAgo)] });

  test('is not mended anew for what its pods show while they come back, for as long as an effect may take to show', () => {
    expect(decidedAfter('ContainersNotReady', 1)).toMatchObject({ next: 'wait', why: 'settling', untilMs: now + 120_000 });
    expect(decidedAfter('ContainersNotReady', 1).because).toContain('just taken back');
    expect(decidedAfter('ContainersNotReady', 3), 'the bound is over').toMatchObject({ next: 'rule' });
  });

  test('has settled when the fault of before is seen again', () => {
    expect(decidedAfter('Stuck', 1)).toMatchObject({ next: 'wait', why: 'cooldown' });
  });

  test('holds up no fault of another one', () => {
    const both = inputOf(declare(['a', 0], ['b', 0]), seen(stuck('ContainersNotReady'), { ...stuck('Stuck'), ref: config('b') }));
    expect(whatNow({ ...both, fixes: [undone(1)] })).toMatchObject({ next: 'rule', drift: { object: { name: 'b' } } });
  });
});
