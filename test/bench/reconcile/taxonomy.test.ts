import { expect, test } from 'vitest';
import { notRun, playable } from '../../../bench/reconcile/cases/not-run.ts';
import { allCases } from '../../../bench/reconcile/run-reconcile-bench.ts';
import { letterOf, rightLayers, taxonomy } from '../../../bench/reconcile/taxonomy.ts';

test('the taxonomy has forty faults: twenty that rules can mend, eleven partly, nine not', () => {
  const count = (letter: string) => [...taxonomy.values()].filter((one) => one === letter).length;
  expect([taxonomy.size, count('Y'), count('P'), count('N')]).toEqual([40, 20, 11, 9]);
  const ids = (letter: string, last: number) => Array.from({ length: last }, (_, at) => `${letter}${String(at + 1).padStart(2, '0')}`);
  expect([...taxonomy.keys()].sort()).toEqual([...ids('A', 12), ...ids('G', 12), ...ids('K', 16)]);
});

test('each fault is played or said not to be, and no case is of another', () => {
  expect([...playable, ...Object.keys(notRun)].sort()).toEqual([...taxonomy.keys()].sort());
  expect(playable).toHaveLength(30);
  const played = allCases.map(({ id }) => id);
  expect(new Set(played).size).toBe(played.length);
  expect(played.filter((id) => !playable.includes(id))).toEqual([]);
});

test('a rule mends what rules can mend, a model or people the rest; what is not to be touched is nobody’s', () => {
  expect(rightLayers('K01')).toEqual(['rule']);
  expect(rightLayers('K03')).toEqual(['model', 'person']);
  expect(rightLayers('K16')).toEqual(['none']);
  expect(() => letterOf('K17')).toThrow('no fault of the taxonomy');
});
