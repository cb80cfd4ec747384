import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { PassingMap } from '../../gateway/passing-map.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

test('gives what is in it, in the order in which it came, and nothing that was taken out', () => {
  const map = new PassingMap<string, number>();
  for (const [index, key] of ['a', 'b', 'c'].entries()) map.set(key, index);
  map.delete('b');
  map.delete('never there');
  expect([map.size, map.get('a'), map.get('b'), map.values()]).toEqual([2, 0, undefined, [0, 2]]);
});

test('what passed through it goes with the next small collection, however old the map is', () => {
  const atOnce = 8;
  const bytesEach = 8000;
  const map = new PassingMap<number, number[]>();
  const pass = (from: number, count: number): void => {
    for (let id = from; id < from + count; id += 1) {
      map.set(
        id,
        Array.from({ length: bytesEach / 8 }, () => id + 0.5),
      );
      map.delete(id - atOnce);
    }
  };
  pass(0, 100);
  for (let round = 0; round < 3; round += 1) collect(); // the map and its table are old now
  const before = process.memoryUsage().heapUsed;
  for (let round = 0; round < 20; round += 1) {
    pass(100 + round * 100, 100);
    collect({ type: 'minor' });
  }
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(4_000_000);
});
