import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from '../../cli/config.ts';
import { cachedOpa, findOpa } from '../../cli/setup/find-opa.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'find-opa-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const writeProgram = (path: string) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '#!/bin/sh\n');
  chmodSync(path, 0o755);
};

test('the compiler of Rego is the one on the path, else the one in the cache, else none', () => {
  const places = { searchPath: join(folder, 'bin'), cache: join(folder, 'cache') };
  expect(findOpa(places)).toBeUndefined();
  writeProgram(cachedOpa(places.cache));
  expect(findOpa(places)).toBe(cachedOpa(places.cache));
  writeProgram(join(folder, 'bin', 'opa'));
  expect(findOpa(places)).toBe(join(folder, 'bin', 'opa'));
});

test('an option names another one, by its absolute path', () => {
  expect(readConfig({ QUARTERDECK_OPA: '/opt/opa' }).opaProgram).toBe('/opt/opa');
  expect(readConfig({}).opaProgram).toBeUndefined();
  expect(() => readConfig({ QUARTERDECK_OPA: 'opa' })).toThrow('QUARTERDECK_OPA');
});
