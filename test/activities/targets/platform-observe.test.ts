import { expect, test } from 'vitest';
import type { PlatformPart, PlatformTarget, WatchItem } from '../../../activities/targets/platform-context.ts';
import { createPlatformObserve } from '../../../activities/targets/platform-observe.ts';
import { PlatformTargetSchema } from '../../../schema/resources/reconcile-target.ts';

const targetOf = (generation: number): PlatformTarget => ({
  ...{ org: 'default', project: 'default', name: 'platform', generation },
  spec: PlatformTargetSchema.parse({ type: 'platform', watch: ['servers'] }),
});
const nobodyLeaves = new AbortController().signal;

/** Parts that say nothing until they are let. */
const hangingParts = () => {
  const state = { looks: 0, answers: Promise.withResolvers<void>() };
  const part: PlatformPart = {
    see: async () => {
      state.looks += 1;
      await state.answers.promise;
      return [];
    },
  };
  return {
    state,
    ...createPlatformObserve({ parts: { servers: part } as unknown as Record<WatchItem, PlatformPart>, now: () => new Date() }),
  };
};

test('who asks while a look hangs shares the next one with all others, so that no line forms', async () => {
  const { state, observe } = hangingParts();
  const asked = Array.from({ length: 10 }, () => observe(targetOf(1), nobodyLeaves));
  await new Promise(setImmediate);
  expect(state.looks).toBe(1);
  state.answers.resolve();
  for (const observation of await Promise.all(asked)) expect(observation.status).toBe('read');
  expect(state.looks, 'one that ran, and one after it for all who asked meanwhile').toBe(2);
  await observe(targetOf(1), nobodyLeaves);
  expect(state.looks, 'and who asks later looks anew').toBe(3);
});

test('who was declared anew is not told what an earlier declaration wanted to see', async () => {
  const { state, observe } = hangingParts();
  const asked = [1, 1, 2, 2].map((generation) => observe(targetOf(generation), nobodyLeaves));
  await new Promise(setImmediate);
  state.answers.resolve();
  await Promise.all(asked);
  expect(state.looks, 'the first, the next of that generation, and one of the other').toBe(3);
});

test('who leaves is let go at once, and the look goes on for who stays', async () => {
  const { state, observe, desired } = hangingParts();
  const stays = observe(targetOf(1), nobodyLeaves);
  const leaving = new AbortController();
  const leaves = [observe(targetOf(1), leaving.signal), desired(targetOf(1), leaving.signal)];
  leaving.abort(new Error('no time'));
  for (const each of leaves) await expect(each).rejects.toThrow('no time');
  state.answers.resolve();
  expect((await stays).status).toBe('read');
});
