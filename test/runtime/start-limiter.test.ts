import { expect, test } from 'vitest';
import { createStartLimiter } from '../../runtime/host/start-limiter.ts';

test('allows five starts in any 60 s and says how long to wait for the next', () => {
  let now = 1_000;
  const limiter = createStartLimiter(() => now);
  for (let start = 0; start < 5; start += 1) {
    expect(limiter.take()).toBe(0);
    now += 1_000;
  }
  expect(limiter.take()).toBe(55_000);
  now += 54_999;
  expect(limiter.take()).toBe(1);
  now += 1;
  expect(limiter.take()).toBe(0);
  expect(limiter.take()).toBe(1_000);
});
