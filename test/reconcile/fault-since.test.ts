import { expect, test } from 'vitest';
import { faultSince } from '../../reconcile/fault-since.ts';
import type { PastFix } from '../../reconcile/past-fix.ts';

const attempt = (minute: number, state: PastFix['state'], fingerprint = 'a') => {
  const at = `2026-11-30T03:${String(minute).padStart(2, '0')}:00.000Z`;
  return { fingerprint, state, beganAt: at, endedAt: at };
};

test('a fault that nobody answered for is there since it was first seen, not since people were asked again', () => {
  const now = attempt(50, 'awaiting-approval');
  const before = [attempt(30, 'stale'), attempt(20, 'expired'), attempt(10, 'fixed'), attempt(5, 'failed'), attempt(1, 'failed', 'b')];
  expect(faultSince(now, [now, ...before])).toBe(attempt(20, 'expired').beganAt);
  expect(faultSince(now, [attempt(40, 'left-alone'), now, ...before])).toBe(now.beganAt);
  expect(faultSince(now, [])).toBe(now.beganAt);
});
