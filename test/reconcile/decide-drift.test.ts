import { expect, test } from 'vitest';
import { chooseRule } from '../../reconcile/choose-rule.ts';
import { diffTarget } from '../../reconcile/diff-target.ts';
import { isInWindow, windowOpensAt } from '../../reconcile/is-in-window.ts';
import type { PastFix } from '../../reconcile/past-fix.ts';
import { undoPlan } from '../../reconcile/undo-plan.ts';
import { whatNow } from '../../reconcile/what-now.ts';
import { WindowSchema } from '../../schema/resources/reconcile-target.ts';
import { declaredWeb, desired, now, objectOf, planOf, seen, targetOf, web } from './support.ts';

const edited = {
  spec: {
    ...declaredWeb.spec,
    replicas: 9,
    template: { spec: { containers: [{ ...declaredWeb.spec.template.spec.containers[0], image: 'x:2' }] } },
  },
};
const base = { target: targetOf(), desired, holds: [], now };
const loose = { frozen: false, pause: null, observation: seen(objectOf()) };

test('what was deleted by hand is missing, and a rule applies it again', () => {
  const observation = seen();
  const [drift] = diffTarget({ ...base, observation }).drifts;
  if (drift === undefined) throw new Error('no drift');
  expect(drift.kind).toBe('missing');
  expect(whatNow({ ...base, ...loose, observation, drifts: [drift], conflicts: [], fixes: [] })).toMatchObject({ next: 'rule', drift });
  expect(chooseRule({ ...base, drift, observation, rules: [], fixes: [] })).toEqual({
    ok: true,
    rule: 'reapply-declared',
    operations: [{ op: 'reapply', object: web }],
  });
});

test('of what cannot be read nothing is said', () => {
  const unknown = { status: 'unknown', at: '', reason: 'throttled', message: '' } as const;
  expect(diffTarget({ ...base, observation: unknown })).toEqual({ drifts: [], conflicts: [] });
  expect(
    diffTarget({
      ...base,
      target: targetOf({ prune: true }),
      desired: { status: 'unreadable', message: '' },
      observation: seen(objectOf()),
    }).drifts,
  ).toEqual([]);
  expect(
    diffTarget({
      ...base,
      target: targetOf({ prune: true }),
      desired: { ...desired, objects: [] } as typeof desired,
      observation: seen(objectOf()),
    }).drifts,
  ).toEqual([]);
});

test('an ignored and an autoscaled field stay out while the one beside them is a drift', () => {
  const ignored = diffTarget({
    ...base,
    target: targetOf({ ignore: [{ path: '/spec/replicas' }] }),
    observation: seen(objectOf({ state: edited })),
  });
  expect(ignored.drifts[0]?.fields.map(({ path }) => path)).toEqual(['/spec/template/spec/containers/0/image']);
  expect(ignored.conflicts).toEqual([]);
  const owners = [{ manager: 'keda', paths: ['/spec/replicas'] }];
  expect(diffTarget({ ...base, observation: seen(objectOf({ state: edited, owners })) }).conflicts).toMatchObject([{ why: 'autoscaled' }]);
});

test('a field that is taken back three times is escalated once, then contested', () => {
  const [drift] = diffTarget({ ...base, observation: seen(objectOf({ state: edited })) }).drifts;
  if (drift === undefined) throw new Error('no drift');
  const at = (minutes: number) => new Date(now - minutes * 60_000).toISOString();
  const fix = (minutes: number): PastFix => ({
    id: `fix_${minutes}`,
    fingerprint: drift.fingerprint,
    state: 'fixed',
    plan: { ...planOf({ op: 'reapply', object: web }), source: { kind: 'rule', rule: 'reapply-declared' } },
    normalDigest: '',
    evidenceDigest: '',
    beganAt: at(minutes),
    endedAt: at(minutes),
  });
  const fixes = [fix(30), fix(20), fix(10)];
  const ask = (more: PastFix[]) => whatNow({ ...base, ...loose, drifts: [drift], conflicts: [], fixes: [...fixes, ...more] });
  expect(ask([])).toMatchObject({ next: 'escalate', why: 'contested' });
  expect(ask([{ ...fix(1), plan: null, state: 'asked' }])).toMatchObject({ next: 'contested' });
  expect(whatNow({ ...base, ...loose, drifts: [drift], conflicts: [], fixes: [fix(2)] })).toMatchObject({
    next: 'wait',
    why: 'cooldown',
    untilMs: now + 180_000,
  });
  expect(whatNow({ ...base, ...loose, target: targetOf({ paused: true }), drifts: [drift], conflicts: [], fixes: [] })).toMatchObject({
    why: 'paused',
  });
});

test('a window passes midnight in its own time zone, and deny wins', () => {
  const night = WindowSchema.parse({ kind: 'allow', days: ['mon'], from: '22:00', to: '02:00', timeZone: 'Europe/Berlin' });
  expect(isInWindow([night], Date.parse('2026-12-01T00:30:00Z'))).toBe(true);
  expect(isInWindow([night], Date.parse('2026-12-01T01:30:00Z'))).toBe(false);
  expect(isInWindow([night, { ...night, kind: 'deny' }], Date.parse('2026-12-01T00:30:00Z'))).toBe(false);
});

test('undoing goes backwards over what had or may have had an effect', () => {
  const plan = planOf({ op: 'reapply', object: web }, { op: 'restart', object: web }, { op: 'reapply', object: web });
  const applied = { kind: 'applied', version: '2', hash: 'h2', uid: 'u1', at: '' } as const;
  const outcomes = [applied, { kind: 'unchanged', at: '' }, { kind: 'unknown', message: '' }] as const;
  expect(undoPlan(plan, outcomes, seen()).map(({ step }) => step)).toEqual([2, 0]);
});

test('what may have been made is removed only when it is seen, is ours, and by its own uid', () => {
  const plan = planOf({ op: 'reapply', object: web });
  const [step] = plan.steps;
  if (step) Object.assign(step, { precondition: { kind: 'absent' }, undo: { kind: 'remove', stateDigest: '' } });
  const lost = [{ kind: 'unknown', message: 'the answer is lost' }] as const;
  expect(undoPlan(plan, lost, seen())).toEqual([]);
  expect(undoPlan(plan, lost, seen(objectOf({ isOurs: false })))).toEqual([]);
  expect(undoPlan(plan, lost, seen(objectOf({ uid: 'u9' })))).toMatchObject([{ operation: { op: 'remove', uid: 'u9' } }]);
  const unread = { status: 'unknown', at: '', reason: 'unreachable', message: '' } as const;
  // nobody knows: the undo is tried without a uid, which removes nothing that is there, and so is seen to fail
  expect(undoPlan(plan, lost, unread)).toMatchObject([{ operation: { op: 'remove', uid: '' } }]);
});

test('a window opens at its very minute, be it short, at an odd time or in a zone of three quarters', () => {
  const short = WindowSchema.parse({ kind: 'allow', days: ['tue'], from: '03:07', to: '03:09', timeZone: 'Asia/Kathmandu' });
  expect(new Date(windowOpensAt([short], now)).toISOString()).toBe('2026-11-30T21:22:00.000Z');
  const deny = WindowSchema.parse({ kind: 'deny', from: '11:00', to: '12:34' });
  expect(new Date(windowOpensAt([deny], now)).toISOString()).toBe('2026-11-30T12:34:00.000Z');
  const whole = WindowSchema.parse({ kind: 'allow', days: ['sun'], from: '00:00', to: '00:00' });
  expect(new Date(windowOpensAt([whole], now)).toISOString()).toBe('2026-12-06T00:00:00.000Z');
});
