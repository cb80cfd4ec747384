import { expect, test } from 'vitest';
import { platformObject, platformRef, symptom } from '../../../activities/targets/platform-context.ts';

const agent = (state: string, ...codes: string[]) =>
  platformObject(
    platformRef('Agent', 'run_1', 'a'),
    'u',
    { state },
    codes.map((code) => symptom(code, '')),
  );

test('a thing of the platform that was put back is the same whatever it shows by then; its version tells the two looks apart', () => {
  const [before, putBack, well] = [agent('running', 'AgentLooping'), agent('running', 'OddEgress', 'AgentLooping'), agent('running')];
  expect([putBack.hash, well.hash]).toEqual([before.hash, before.hash]);
  expect(new Set([before.version, putBack.version, well.version]).size).toBe(3);
  expect(agent('suspended').hash).not.toBe(before.hash);
});
