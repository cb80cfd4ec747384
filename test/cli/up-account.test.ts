import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chooseAccount, mayReach, runAs } from '../../cli/up/unprivileged-account.ts';

const passwd = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\n';
const isRoot = process.getuid?.() === 0;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-account-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('uses our own account where we are not root', () => {
  expect(chooseAccount({ uid: 1000, passwd: () => passwd })).toBeUndefined();
});

test('as root prefers an account named postgres, then nobody, and says what to do where there is neither', () => {
  const withPostgres = `${passwd}postgres:x:101:104::/var/lib/postgresql:/bin/bash\n`;
  expect(chooseAccount({ uid: 0, passwd: () => withPostgres })).toEqual({ uid: 101, gid: 104 });
  expect(chooseAccount({ uid: 0, passwd: () => passwd })).toEqual({ uid: 65534, gid: 65533 });
  expect(() => chooseAccount({ uid: 0, passwd: () => '' })).toThrow(/useradd --system postgres/);
});

test.runIf(isRoot)('keeps the owner of a data folder that is there', () => {
  chownSync(folder, 12_345, 54_321);
  expect(chooseAccount({ uid: 0, folder, passwd: () => passwd })).toEqual({ uid: 12_345, gid: 54_321 });
});

test('knows whether an account may walk to a place', () => {
  const inner = join(folder, 'inner', 'new');
  mkdirSync(join(folder, 'inner'));
  const stranger = { uid: 54_321, gid: 54_321 };
  chmodSync(folder, 0o711);
  expect(mayReach(inner, stranger)).toBe(true);
  chmodSync(folder, 0o700);
  expect(mayReach(inner, stranger)).toBe(false);
  expect(mayReach(inner, { uid: process.getuid?.() ?? 0, gid: 0 })).toBe(true);
});

test.runIf(isRoot && process.platform === 'linux')(
  'gives a process one capability to pass a closed folder, and nothing where none is closed',
  () => {
    const command = { file: '/bin/true', args: ['a'], env: {}, cwd: '/' };
    const account = { uid: 54_321, gid: 54_321 };
    expect(runAs(account, command, [])).toEqual({ ...command, ...account });
    const passing = runAs(account, command, [folder]);
    expect(passing.uid).toBeUndefined();
    expect(passing.args).toEqual(expect.arrayContaining(['--reuid=54321', '--clear-groups', '/bin/true', 'a']));
    expect(passing.args.filter((arg) => arg.includes('-caps='))).toHaveLength(2);
  },
);
