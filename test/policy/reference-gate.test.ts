import { expect, test } from 'vitest';
import { compareGates } from '../support/compare-gates.ts';

/** Fewer where each rule of the platform is taken away in turn (`test/support/mutate-guards.ts`). */
const wanted = Number(process.env.GATE_REQUESTS ?? 10_000);

test('the engine, its cache and its slices decide 10,000 random requests as the plain reference gate does', () => {
  const { requests, allowed, needingPerson } = compareGates(wanted);
  expect(requests).toBeGreaterThanOrEqual(wanted);
  // neither gate is right by always saying the same
  expect(allowed / requests).toBeGreaterThan(0.1);
  expect(allowed / requests).toBeLessThan(0.9);
  expect(needingPerson / requests).toBeGreaterThan(0.001);
}, 300_000);
