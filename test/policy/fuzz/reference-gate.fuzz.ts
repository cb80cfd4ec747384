import { expect, test } from 'vitest';
import { compareGates } from '../../support/compare-gates.ts';

const wanted = Number(process.env.FUZZ_DECISIONS ?? 100_000);

test(`the engine decides ${wanted} random requests as the reference gate does`, () => {
  const figures = compareGates(wanted);
  console.log(JSON.stringify(figures));
  expect(figures.requests).toBeGreaterThanOrEqual(wanted);
});
