import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRegoPool, type RegoPool } from '../../policy/rego/create-rego-pool.ts';
import { isDeeper, type ToolCallInput } from '../../policy/rego/rego-input.ts';
import type { CompiledRego } from '../../schema/resources/rego.ts';
import { compiledFixture } from '../support/precompiled-rego.ts';

const hostile = compiledFixture('hostile');
const paths = compiledFixture('paths');

const inputOf = (argumentsOfCall: object): ToolCallInput => ({
  ...{ version: 1, kind: 'toolCall', inputResponses: {}, atSeconds: 1, org: 'default', project: 'default' },
  principal: { kind: 'person', id: 'default/ada', person: 'ada', role: '', fleet: '', run: '' },
  ...{ toolset: 'counting', server: 'counting', tool: 'look' },
  hints: { readOnly: true, destructive: false, idempotent: false, openWorld: false },
  arguments: argumentsOfCall,
  facts: {},
});

let pool: RegoPool;
beforeEach(() => {
  pool = createRegoPool();
});
afterEach(() => pool.close());

const ask = (argumentsOfCall: object, { compiled = hostile, project = 'default/default', timeLimitMs = 500 } = {}) =>
  pool.evaluate({ project, compiled, input: inputOf(argumentsOfCall), timeLimitMs });

/** The longest time for which this thread did nothing else, while `work` was under way. */
const longestPauseMs = async (work: () => Promise<unknown>): Promise<number> => {
  let last = performance.now();
  let longest = 0;
  const beat = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 5);
  await work();
  clearInterval(beat);
  return longest;
};

describe('an evaluation', () => {
  test('passes what no rule denies, and denies with the rules and messages of those that do', async () => {
    expect(await ask({ path: '/home/a' }, { compiled: paths })).toEqual({ outcome: 'pass' });
    expect(await ask({ path: '/etc/passwd', sql: 'DROP table a' }, { compiled: paths })).toEqual({
      outcome: 'deny',
      denials: [
        { rule: 'no-etc', message: '/etc/passwd is outside of the project.' },
        { rule: 'no-drop', message: 'A statement must not drop anything.' },
      ],
    });
  });

  test('refuses what is undefined, no boolean, false, or no set of texts', async () => {
    const outcomes: Record<string, string> = {};
    for (const mode of ['undefined', 'text', 'false', 'number', 'object', 'name']) outcomes[mode] = (await ask({ mode })).outcome;
    expect(outcomes).toEqual({
      undefined: 'undefined',
      text: 'result-unusable',
      false: 'deny',
      number: 'result-unusable',
      object: 'result-unusable',
      name: 'result-unusable',
    });
  });

  test('refuses where a module fails: two values of one function, a format that does not fit', async () => {
    expect(await ask({ mode: 'conflict' })).toEqual({ outcome: 'evaluation-failed', detail: expect.stringContaining('conflict') });
    expect(await ask({ mode: 'word' })).toMatchObject({ outcome: 'evaluation-failed' });
    expect(await ask({ mode: 'plain' })).toEqual({ outcome: 'pass' });
  });

  test('a message is cut, so that a policy cannot fill the audit', async () => {
    const verdict = await ask({ mode: 'long' });
    expect(verdict).toMatchObject({ outcome: 'deny' });
    expect(JSON.stringify(verdict).length).toBeLessThan(500);
  });
});

describe('a hostile policy', () => {
  test('that loops is ended at its limit; meanwhile and afterwards the process and other projects go on', async () => {
    await ask({ mode: 'plain' });
    const begun = performance.now();
    let others = 0;
    const pause = await longestPauseMs(async () => {
      const loop = ask({ mode: 'loop' }, { timeLimitMs: 300 });
      let isOver = false;
      void loop.then(() => {
        isOver = true;
      });
      while (!isOver) {
        expect(await ask({ path: '/a' }, { compiled: paths, project: 'default/other' })).toEqual({ outcome: 'pass' });
        others += 1;
      }
      expect(await loop).toEqual({ outcome: 'time-limit', detail: 'it took longer than 300 ms' });
    });
    expect(performance.now() - begun).toBeLessThan(3_000);
    // the loop would hold this thread for all of its time, were it here
    expect(pause).toBeLessThan(250);
    expect(others).toBeGreaterThan(0);
    expect(await ask({ mode: 'plain' })).toEqual({ outcome: 'pass' });
  });

  test('that is asked by many at once holds half of the threads, and lets nothing pass', async () => {
    const loops = Array.from({ length: 6 }, () => ask({ mode: 'loop' }, { timeLimitMs: 50 }));
    const other = await ask({ path: '/a' }, { compiled: paths, project: 'default/other' });
    expect(other).toEqual({ outcome: 'pass' });
    expect(pool.threads()).toBeLessThanOrEqual(2);
    expect((await Promise.all(loops)).map(({ outcome }) => outcome)).toEqual(Array(6).fill('time-limit'));
  });

  test('that takes all memory is refused, and takes none of ours', async () => {
    const before = process.memoryUsage().rss;
    const verdict = await ask({ mode: 'memory' });
    expect(['memory-limit', 'time-limit']).toContain(verdict.outcome);
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024);
    expect(await ask({ mode: 'plain' })).toEqual({ outcome: 'pass' });
  });
});

describe('a hostile argument', () => {
  test('of 5 MB is refused without being evaluated', async () => {
    expect(await ask({ mode: 'walk', text: 'a'.repeat(5_000_000) })).toMatchObject({ outcome: 'input-too-large' });
    expect(pool.threads()).toBe(0);
  });

  test('that is nested deeply is refused, whatever stands in its texts', async () => {
    for (const levels of [200, 5_000, 50_000]) {
      let deep: object = {};
      for (let level = 0; level < levels; level += 1) deep = { deep };
      expect(await ask({ mode: 'walk', deep })).toMatchObject({ outcome: 'input-too-deep' });
    }
    expect(await ask({ mode: 'walk', text: '[{'.repeat(5_000) })).toEqual({ outcome: 'pass' });
    expect(isDeeper('[[1],[2]]', 2)).toBe(false);
    expect(isDeeper('[[[1]]]', 2)).toBe(true);
    expect(isDeeper('["\\"[[["]', 1)).toBe(false);
  });

  test('within the limits is walked whole', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`key ${index}`, [index, { index }]]));
    expect(await ask({ mode: 'walk', many })).toEqual({ outcome: 'pass' });
    expect(await ask({ mode: 'walk', many: { ...many, last: ['needle'] } })).toMatchObject({ outcome: 'deny' });
  });

  test('keeps numbers that JavaScript cannot hold as they are written', async () => {
    const exact = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON('9007199254740993');
    expect(await ask({ mode: 'plain', id: exact })).toEqual({ outcome: 'pass' });
  });
});

describe('a module', () => {
  test('that is damaged, or no WebAssembly, refuses', async () => {
    const spoilt = (changes: Partial<CompiledRego>) => ask({}, { compiled: { ...hostile, ...changes } });
    expect(await spoilt({ digest: '0'.repeat(64) })).toMatchObject({ outcome: 'module-unusable' });
    expect(await spoilt({ wasm: 'AAAA' })).toMatchObject({ outcome: 'module-unusable' });
    expect(await ask({ mode: 'plain' })).toEqual({ outcome: 'pass' });
  });

  test('leaves nothing of one call to the next', async () => {
    const [first, second] = await Promise.all([ask({ mode: 'conflict' }), ask({ mode: 'plain' })]);
    expect([first.outcome, second.outcome]).toEqual(['evaluation-failed', 'pass']);
  });
});

test('a pool that is closed refuses what waits, and what comes', async () => {
  const waiting = Array.from({ length: 4 }, () => ask({ mode: 'loop' }, { timeLimitMs: 500 }));
  await pool.close();
  expect((await Promise.all(waiting)).map(({ outcome }) => outcome)).toEqual(Array(4).fill('busy'));
  expect(await ask({ mode: 'plain' })).toMatchObject({ outcome: 'busy' });
});

test('more questions than may wait are refused at once', async () => {
  const small = createRegoPool({ threads: 1, mostWaiting: 2 });
  const asked = Array.from({ length: 5 }, () =>
    small.evaluate({ project: 'a/b', compiled: hostile, input: inputOf({}), timeLimitMs: 500 }),
  );
  const outcomes = (await Promise.all(asked)).map(({ outcome }) => outcome);
  expect(outcomes.filter((outcome) => outcome === 'busy')).toHaveLength(2);
  await small.close();
});
