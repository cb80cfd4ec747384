import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cachedTemporal, findTemporal } from '../../cli/setup/find-temporal.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'find-temporal-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const writeProgram = (path: string, mode = 0o755) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '#!/bin/sh\n');
  chmodSync(path, mode);
};

test('prefers the program on the path to the one in the cache', () => {
  const cache = join(folder, 'cache');
  writeProgram(cachedTemporal(cache));
  expect(findTemporal({ searchPath: join(folder, 'empty'), cache })).toBe(cachedTemporal(cache));
  writeProgram(join(folder, 'bin', 'temporal'));
  const searchPath = [join(folder, 'empty'), join(folder, 'bin')].join(delimiter);
  expect(findTemporal({ searchPath, cache })).toBe(join(folder, 'bin', 'temporal'));
});

test('takes neither a folder nor a file that may not be executed for the program', () => {
  mkdirSync(join(folder, 'one', 'temporal'), { recursive: true });
  writeProgram(join(folder, 'two', 'temporal'), 0o644);
  const searchPath = [join(folder, 'one'), join(folder, 'two')].join(delimiter);
  expect(findTemporal({ searchPath, cache: join(folder, 'cache') })).toBeUndefined();
});
