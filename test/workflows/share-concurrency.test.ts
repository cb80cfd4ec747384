import { expect, test } from 'vitest';
import { shareConcurrency } from '../../workflows/run-stage.ts';

test('shares a large limit among the shards that are at work', () => {
  expect(shareConcurrency(4, 3)).toEqual({ slots: 1, share: 4 });
  expect(shareConcurrency(250, 10)).toEqual({ slots: 3, share: 83 });
  expect(shareConcurrency(1000, 2)).toEqual({ slots: 2, share: 500 });
  expect(shareConcurrency(4, 0)).toEqual({ slots: 1, share: 4 });
});
