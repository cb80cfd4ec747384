import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findNpmProgram } from '../../runtime/ports/find-npm-program.ts';
import { packageRoot } from './support/host-harness.ts';

let root: string;
const install = async (name: string, manifest: object) => {
  await mkdir(join(root, 'node_modules', name), { recursive: true });
  await writeFile(join(root, 'node_modules', name, 'package.json'), JSON.stringify({ version: '1.0.0', ...manifest }));
};
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'quarterdeck-npm-'));
  await install('one', { bin: './cli.js' });
  await install('many', { bin: { many: 'a.js', other: 'b.js' } });
  await install('none', {});
  await install('sly', { bin: '../../outside.js' });
  await install('moved', { bin: 'x.js' });
  await symlink(join(root, 'node_modules/moved'), join(root, 'node_modules/alias'));
  await mkdir(join(root, 'elsewhere'));
  await writeFile(join(root, 'elsewhere/package.json'), '{"version":"1.0.0","bin":"x.js"}');
  await symlink(join(root, 'elsewhere'), join(root, 'node_modules/linked'));
});
afterAll(() => rm(root, { recursive: true }));

const find = (name: string, rest: { version?: string; bin?: string } = {}) => findNpmProgram({ kind: 'npm', package: name, ...rest }, root);

test('finds the program of a public MCP server', async () => {
  const { script } = await findNpmProgram({ kind: 'npm', package: '@modelcontextprotocol/server-filesystem' }, packageRoot);
  expect(script).toBe('@modelcontextprotocol/server-filesystem/dist/index.js');
});

test('takes the only program, the one named like the package, or the one asked for', async () => {
  expect((await find('one')).script).toBe('one/cli.js');
  expect((await find('many')).script).toBe('many/a.js');
  expect((await find('many', { bin: 'other' })).script).toBe('many/b.js');
});

test.each([
  ['a package that is not installed', 'missing', {}, 'npm install'],
  ['another version', 'one', { version: '2.0.0' }, '1.0.0 is installed'],
  ['a program it does not have', 'many', { bin: 'third' }, 'no program third'],
  ['a package without programs', 'none', {}, 'which program'],
  ['a program outside of the package', 'sly', {}, 'outside the package'],
  ['a link out of node_modules', 'linked', {}, 'link to another folder'],
])('refuses %s', async (_what, name, rest, words) => {
  await expect(find(name, rest)).rejects.toMatchObject({ code: 'input_invalid', detail: expect.stringContaining(words) });
});
