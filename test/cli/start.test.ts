import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../support/run-cli.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-start-'));
  writeFileSync(join(folder, 'file.txt'), 'text');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  [
    'a folder that is not there',
    ['--input', 'path=nowhere'],
    1,
    'Error: The input path: there is no folder FOLDER/nowhere. Next: give one that exists with --input path=DIR\n',
  ],
  [
    'a file',
    ['--input', 'path=file.txt'],
    1,
    'Error: The input path: there is no folder FOLDER/file.txt. Next: give one that exists with --input path=DIR\n',
  ],
  [
    'an input that the fleet does not have',
    ['--input', 'color=red'],
    1,
    'Error: The fleet survey has no input color; its inputs are path\n',
  ],
  ['an input without a value', ['--input', 'path'], 2, 'Error: --input path is not name=value, such as path=./src\n'],
  [
    'the profile production',
    ['--profile', 'production'],
    2,
    'Error: The example needs a person with a token, which the profile production does not seed; use `quarterdeck up`\n',
  ],
])('refuses %s in one sentence before anything is started', async (_what, args, code, message) => {
  const result = await runCli(['start', '--once', '--data', 'data', ...args], { cwd: '/', env: { INIT_CWD: folder } });
  expect(result).toEqual({ code, stdout: '', stderr: message.replace('FOLDER', folder) });
  expect(existsSync(join(folder, 'data'))).toBe(false);
});
