import { expect, test } from 'vitest';
import { backoffMs } from '../../reconcile/backoff.ts';
import { judgeEffect } from '../../reconcile/judge-effect.ts';
import { normaliseOperations } from '../../reconcile/normalise-operations.ts';
import type { Drift } from '../../schema/reconcile/drift.ts';
import { objectOf, planOf, seen, targetOf, web } from './support.ts';

const plan = planOf({ op: 'reapply', object: web });
const drift: Drift = { kind: 'missing', object: web, fields: [], symptoms: [], fingerprint: 'f', faultKind: 'k' };
const other = { ...web, name: 'other' };
const judge = (after: ReturnType<typeof seen>, seconds: number, isThere = false) =>
  judgeEffect({ before: seen(objectOf({ ref: other })), after, drift, plan, sinceAppliedMs: seconds * 1000, target: targetOf(), isThere });

test('an effect counts only when it has held, and a neighbour that falls ill makes it worse', () => {
  expect(judge(seen(objectOf()), 10)).toBe('waiting');
  expect(judge(seen(objectOf()), 60)).toBe('gone');
  expect(judge(seen(), 60, true)).toBe('waiting');
  expect(judge(seen(), 180, true)).toBe('unchanged');
  expect(judge(seen(objectOf(), objectOf({ ref: other, health: 'degraded' })), 60)).toBe('worse');
});

test('a kind without a health is mended by being as declared, and not when its health was the fault', () => {
  expect(judge(seen(objectOf({ health: 'unknown' })), 60)).toBe('gone');
  const unhealthy = (after: ReturnType<typeof seen>) =>
    judgeEffect({
      before: seen(),
      after,
      drift: { ...drift, kind: 'unhealthy' },
      plan,
      sinceAppliedMs: 60_000,
      target: targetOf(),
      isThere: false,
    });
  expect(unhealthy(seen(objectOf({ health: 'unknown' })))).toBe('waiting');
});

test('what was stuck on its way out is mended when it is gone', () => {
  const stuck = { ...drift, kind: 'deleting' } as const;
  const judgeStuck = (after: ReturnType<typeof seen>) =>
    judgeEffect({ before: seen(), after, drift: stuck, plan, sinceAppliedMs: 60_000, target: targetOf(), isThere: false });
  expect(judgeStuck(seen())).toBe('gone');
  expect(judgeStuck(seen(objectOf({ deletingSince: '2026-11-30T11:00:00Z' })))).toBe('waiting');
});

test('nothing is undone on what cannot be read, however late it is', () => {
  const unknown = { status: 'unknown', at: '', reason: 'unreachable', message: '' } as const;
  expect(judge(unknown as never, 10_000)).toBe('waiting');
});

test('waiting doubles up to a bound, spread by the seed', () => {
  expect(backoffMs(0, 0)).toBe(500);
  expect(backoffMs(3, 0.999_999)).toBe(8000);
  expect(backoffMs(1000, 0)).toBe(150_000);
});

test('the same fix of another object of the kind is the same, another value is not', () => {
  const scaled = (name: string, replicas: number) => normaliseOperations(planOf({ op: 'scale', object: { ...web, name }, replicas }));
  expect(scaled('a', 2)).toBe(scaled('b', 2));
  expect(scaled('a', 2)).not.toBe(scaled('a', 1));
});
