import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeScratchClone } from '../support/scratch-clone.ts';

let clone: ReturnType<typeof makeScratchClone>;
beforeEach(() => {
  clone = makeScratchClone();
});
afterEach(() => clone.remove());

const silence = { code: 0, stdout: '', stderr: '' };

test('installs once, says so on stderr, and is silent until the lock file changes', async () => {
  clone.addNpm();
  const first = await clone.prepare('check');
  expect(first).toMatchObject({ code: 0, stdout: '' });
  expect(first.stderr).toMatch(/^set-up: npm ci: up to 0 packages, .*kept in .*node_modules\nset-up: npm ci: done in \d+ s, Node v24/);
  expect(await clone.prepare('check')).toEqual(silence);
  clone.writeLock({ '': { version: '2' } });
  await clone.prepare('check');
  expect(clone.countNpmCalls()).toBe(2);
});

test('lets one of several runs at once install, and takes over a lock that a killed run left', async () => {
  clone.addNpm(0.5);
  const runs = await Promise.all([clone.prepare('check'), clone.prepare('check'), clone.prepare('check')]);
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(clone.countNpmCalls()).toBe(1);

  const [lock = ''] = runs.flatMap(({ stderr }) => stderr.match(/(?<=\(lock ).*(?=\))/) ?? []);
  mkdirSync(lock);
  utimesSync(lock, 0, 0); // nobody has touched it for long
  clone.writeLock({ '': { version: '3' } });
  expect((await clone.prepare('check')).code).toBe(0);
  expect(existsSync(lock)).toBe(false);
});

test('does not install again what somebody installed by hand', async () => {
  clone.addProgram('npm', 'exit 9');
  clone.addProgram('node', 'echo v24.21.0', join(clone.root, 'node_modules/.bin'));
  const installed = { 'node_modules/zod': { version: '4.0.0' } };
  clone.writeLock({ '': {}, ...installed, 'node_modules/for-another-system': { optional: true } });
  writeFileSync(join(clone.root, 'node_modules/.package-lock.json'), JSON.stringify({ packages: installed }));
  expect(await clone.prepare('check')).toEqual(silence);
});

test('ends with one line when npm fails or leaves no Node 24', async () => {
  clone.addProgram('npm', 'echo E404 >&2; exit 1');
  expect(await clone.prepare('check')).toMatchObject({ code: 1, stderr: expect.stringContaining('npm ci failed (exit 1') });
  clone.addProgram('npm', 'mkdir -p node_modules');
  expect(await clone.prepare('check')).toMatchObject({ code: 1, stderr: expect.stringContaining('npm rebuild --ignore-scripts=false') });
});

test('runs npm outside of the node_modules that npm removes', async () => {
  clone.addNpm();
  const projectBin = join(clone.root, 'node_modules/.bin');
  clone.addProgram('npm', 'exit 9', projectBin);
  expect((await clone.prepare('check', { path: [projectBin, clone.bin] })).code).toBe(0);
});

test('refuses a purpose that it does not know', async () => {
  expect(await clone.prepare('lunch')).toMatchObject({ code: 2, stderr: expect.stringMatching(/^usage: /) });
});
