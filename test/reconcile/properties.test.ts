import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffTarget } from '../../reconcile/diff-target.ts';
import { valueAt } from '../../reconcile/json-pointer.ts';
import { judgeEffect } from '../../reconcile/judge-effect.ts';
import type { PastFix } from '../../reconcile/past-fix.ts';
import { undoPlan } from '../../reconcile/undo-plan.ts';
import { explainDrifts, whatNow } from '../../reconcile/what-now.ts';
import { objectKey } from '../../schema/reconcile/object-ref.ts';
import type { Desired, Observation, ObservedObject } from '../../schema/reconcile/observation.ts';
import type { StepOutcome } from '../../schema/reconcile/plan.ts';
import { now, objectOf, planOf, seen, targetOf } from './support.ts';

const refOf = (index: number) => ({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: `k${index}` });
const health = fc.constantFrom('healthy', 'healthy', 'progressing', 'degraded', 'unknown') as fc.Arbitrary<ObservedObject['health']>;
/** Of up to six things: in which wave, whether it is declared, whether it is there, how it is, and with which values. */
const things = fc.array(
  fc.record({
    ...{ wave: fc.integer({ min: 0, max: 2 }), isDeclared: fc.boolean(), isThere: fc.boolean(), health },
    ...{ wanted: fc.integer({ min: 0, max: 1 }), found: fc.integer({ min: 0, max: 1 }), isLeaving: fc.constantFrom(false, false, true) },
  }),
  { minLength: 1, maxLength: 6 },
);
type Things = typeof things extends fc.Arbitrary<infer T> ? T : never;
const worldOf = (all: Things): { desired: Desired; observation: Observation } => ({
  desired: {
    ...{ status: 'read', digest: 'd' },
    objects: all.flatMap(({ isDeclared, wanted, wave }, index) =>
      isDeclared ? [{ ref: refOf(index), state: { data: { level: wanted } }, wave }] : [],
    ),
  },
  observation: seen(
    ...all.flatMap(({ isThere, found, wave, isLeaving, ...more }, index) =>
      isThere
        ? [
            objectOf({
              ref: refOf(index),
              state: { data: { level: found, other: 'of others' }, metadata: { annotations: { 'quarterdeck.dev/wave': String(wave) } } },
              ...{ health: more.health, deletingSince: isLeaving ? '2026-11-30T11:00:00Z' : '' },
            }),
          ]
        : [],
    ),
  ),
});
const pastFix = fc.record({
  ...{ id: fc.uuid(), which: fc.nat({ max: 5 }), minutesAgo: fc.integer({ min: 0, max: 3000 }), isRule: fc.boolean() },
  state: fc.constantFrom(
    'fixed',
    'failed',
    'ineffective',
    'rolled-back',
    'refused',
    'denied',
    'asked',
    'left-alone',
    'expired',
    'stale',
  ) as fc.Arbitrary<PastFix['state']>,
});

test('what differs is said once for each thing, with what is truly there, and nothing of what is as declared or held', () => {
  fc.assert(
    fc.property(things, fc.nat({ max: 5 }), (all, heldIndex) => {
      const { desired, observation } = worldOf(all);
      const target = targetOf({ prune: true });
      const holds = [{ object: objectKey(refOf(heldIndex)), path: '', untilAt: '2027-01-01T00:00:00Z' }];
      const { drifts } = diffTarget({ target, desired, observation, holds, now });
      const keys = drifts.map(({ object }) => objectKey(object));
      expect(new Set(keys).size).toBe(keys.length);
      expect(keys).not.toContain(objectKey(refOf(heldIndex)));
      for (const { kind, object, fields } of drifts) {
        const one = all[Number(object.name.slice(1))];
        const isRight = {
          missing: one?.isDeclared && !one.isThere,
          changed: one?.isDeclared && one.isThere && one.wanted !== one.found,
          added: false, // none of them has pods
          extra: !one?.isDeclared && one?.isThere,
          unhealthy: one?.isDeclared && one.health === 'degraded',
          deleting: one?.isDeclared && one.isLeaving,
        };
        expect([kind, isRight[kind]]).toEqual([kind, true]);
        const seenOne =
          observation.status === 'read' ? observation.objects.find(({ ref }) => objectKey(ref) === objectKey(object)) : undefined;
        for (const { path, observed } of fields) expect(valueAt(seenOne?.state, path)).toEqual(observed);
      }
      // what is mended so is not found again
      const mended = worldOf(
        all
          .filter(({ isDeclared }) => isDeclared)
          .map((one) => ({ ...one, isThere: true, found: one.wanted, health: 'healthy', isLeaving: false })),
      );
      expect(diffTarget({ target, ...mended, holds: [], now }).drifts).toEqual([]);
    }),
    { numRuns: 2000, seed: 608 },
  );
});

test('whatever happened before, nothing is begun that a wave, a pause or a freeze forbids, and every wait has an end or needs somebody', () => {
  fc.assert(
    fc.property(things, fc.array(pastFix, { maxLength: 12 }), fc.constantFrom('free', 'frozen', 'paused'), (all, past, mode) => {
      const { desired, observation } = worldOf(all);
      const target = targetOf({ prune: true, ...(mode === 'paused' ? { paused: true } : {}) });
      const { drifts, conflicts } = diffTarget({ target, desired, observation, holds: [], now });
      const fixes = past.map(({ id, which, minutesAgo, isRule, state }): PastFix => {
        const at = new Date(now - minutesAgo * 60_000).toISOString();
        const plan = {
          ...planOf({ op: 'reapply', object: refOf(which) }),
          source: isRule ? ({ kind: 'rule', rule: 'r' } as const) : planOf().source,
        };
        return {
          id,
          fingerprint: drifts[which % Math.max(1, drifts.length)]?.fingerprint ?? '',
          state,
          plan,
          normalDigest: '',
          evidenceDigest: '',
          beganAt: at,
          endedAt: at,
        };
      });
      const input = { target, drifts, conflicts, fixes, holds: [], desired, observation, frozen: mode === 'frozen', pause: null, now };
      const decided = whatNow(input);
      expect(decided).toEqual(whatNow(structuredClone(input)));
      expect(decided.because).not.toBe('');
      if (drifts.length > 0 && mode !== 'free') expect(decided).toMatchObject({ next: 'wait', why: mode });
      if ('untilMs' in decided && decided.untilMs !== null) expect(decided.untilMs).toBeGreaterThan(now);
      if (mode !== 'free' || drifts.length === 0) return;
      // each drift has one answer
      expect(explainDrifts(input)).toHaveLength(drifts.length);
      if (decided.next === 'nothing') throw new Error('something differs and nothing is said of it');
      if (decided.next !== 'rule' && decided.next !== 'escalate') return;
      const { kind, object } = decided.drift;
      const one = all[Number(object.name.slice(1))];
      const before = all.filter(({ isDeclared, wave }) => isDeclared && (kind === 'extra' || wave < (one?.wave ?? 0)));
      expect(before.every((other) => other.isThere && !other.isLeaving && (other.health === 'healthy' || other.health === 'unknown'))).toBe(
        true,
      );
      if (kind === 'extra')
        expect(all.filter((other) => !other.isDeclared && other.isThere && other.wave > (one?.wave ?? 0) && !other.isLeaving)).toEqual([]);
    }),
    { numRuns: 4000, seed: 608 },
  );
});

test('a fault counts as gone only where it is not there, its object is well and the hold time has passed', () => {
  fc.assert(
    fc.property(
      health,
      fc.boolean(),
      fc.nat({ max: 400_000 }),
      fc.nat({ max: 400_000 }),
      fc.boolean(),
      (how, isThere, sinceAppliedMs, goneSinceMs, isRead) => {
        const target = targetOf();
        const plan = planOf({ op: 'reapply', object: refOf(0) });
        const drift = { kind: 'changed', object: refOf(0), fields: [], symptoms: [], fingerprint: 'f', faultKind: 'k' } as const;
        const after: Observation = isRead
          ? seen(objectOf({ ref: refOf(0), health: how }))
          : { status: 'unknown', at: '', reason: 'unreachable', message: '' };
        const effect = judgeEffect({
          before: seen(),
          after,
          drift: { ...drift, fields: [], symptoms: [] },
          plan,
          sinceAppliedMs,
          goneSinceMs,
          isThere,
          target,
        });
        if (!isRead) expect(effect).toBe('waiting');
        if (effect === 'gone')
          expect([isThere, how === 'healthy' || how === 'unknown', goneSinceMs >= 60_000]).toEqual([false, true, true]);
        if (effect === 'unchanged') expect(sinceAppliedMs).toBeGreaterThanOrEqual(180_000);
      },
    ),
    { numRuns: 2000, seed: 608 },
  );
});

test('undoing is backwards, of exactly what had or may have had an effect, and bound to how we left it', () => {
  const outcome: fc.Arbitrary<StepOutcome | null> = fc.constantFrom(
    { kind: 'applied', version: '2', hash: 'h2', uid: 'u2', at: '' },
    { kind: 'unchanged', at: '' },
    { kind: 'failed', reason: 'refused', message: '' },
    { kind: 'unknown', message: '' },
    null,
  );
  fc.assert(
    fc.property(fc.array(outcome, { minLength: 1, maxLength: 8 }), (outcomes) => {
      const plan = planOf(...outcomes.map((_, index) => ({ op: 'reapply' as const, object: refOf(index) })));
      const undone = undoPlan(plan, outcomes, seen());
      const wanted = outcomes.flatMap((one, index) => (one?.kind === 'applied' || one?.kind === 'unknown' ? [index] : []));
      expect(undone.map(({ step }) => step)).toEqual(wanted.toReversed());
      for (const { step, operation, precondition } of undone) {
        expect(operation.object).toEqual(refOf(step));
        expect(precondition.kind).toBe(outcomes[step]?.kind === 'applied' ? 'version' : 'none');
      }
    }),
    { numRuns: 2000, seed: 608 },
  );
});
