import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolvePaths } from '../../runtime/host/resolve-paths.ts';
import { type ServerLaunch, ServerLaunchSchema } from '../../schema/server-launch.ts';

let folder: string;
let launch: ServerLaunch;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'quarterdeck-paths-')));
  await mkdir(join(folder, 'in/src/lib'), { recursive: true });
  await mkdir(join(folder, 'in/.git'));
  await mkdir(join(folder, 'in-secret'));
  await writeFile(join(folder, 'in/src/a.ts'), '');
  await writeFile(join(folder, 'in/a.ts'), '');
  await writeFile(join(folder, 'in/.git/config'), '');
  await writeFile(join(folder, 'in-secret/key'), '');
  const links: Record<string, string> = {
    inside: 'src/a.ts',
    'absolute-cage': '/input/src/a.ts',
    'absolute-host': join(folder, 'in/src/a.ts'),
    outside: '../in-secret/key',
    absolute: '/etc/passwd',
    'round-trip': '../in/src/a.ts',
    dangling: 'src/not-yet.ts',
    'to-hidden': '.git/config',
    'to-folder': 'src/lib',
    loop: 'loop',
    'other-volume': '/output/x',
  };
  for (const [name, target] of Object.entries(links)) await symlink(target, join(folder, 'in', name));
  await mkdir(join(folder, 'out'));
  launch = ServerLaunchSchema.parse({
    id: 'default/default/files',
    digest: 'x',
    program: { kind: 'command', command: ['true'] },
    volumes: [
      { hostPath: join(folder, 'in'), at: '/input', mode: 'ro', hide: ['.git'] },
      { hostPath: join(folder, 'out'), at: '/output', mode: 'rw' },
    ],
  });
});
afterAll(() => rm(folder, { recursive: true }));

const resolve = async (path: string, isCaged = true) => (await resolvePaths(launch, [path], isCaged))[0];
const found = (canonical: string, exists = true) => ({ canonical, exists, escapes: false });
const escaped = { canonical: null, exists: false, escapes: true };

test.each([
  ['/input', '/input', true],
  ['/input/', '/input', true],
  ['/input/src/a.ts', '/input/src/a.ts', true],
  ['/input//src/./a.ts', '/input/src/a.ts', true],
  ['/input/src/../a.ts', '/input/a.ts', true],
  ['/input/inside', '/input/src/a.ts', true],
  ['/input/absolute-cage', '/input/src/a.ts', true],
  ['/input/dangling', '/input/src/not-yet.ts', false],
  ['/input/to-folder/new/deep.ts', '/input/src/lib/new/deep.ts', false],
  ['/input/src/a.ts/below-a-file', '/input/src/a.ts/below-a-file', false],
  ['/input/%2e%2e/in-secret/key', '/input/%2e%2e/in-secret/key', false],
  ['/output/report.md', '/output/report.md', false],
])('%s is %s', async (path, canonical, exists) => {
  expect(await resolve(path)).toMatchObject(found(canonical, exists));
});

test.each([
  '/input/outside',
  '/input/absolute',
  '/input/absolute-host',
  '/input/round-trip',
  '/input/loop',
  '/input/other-volume',
  '/input/../in-secret/key',
  '/input/../input/a.ts',
  '/x/../input/a.ts',
  '/input-secret/key',
  '/etc/passwd',
  '/',
  'input/a.ts',
  '',
  '/input/a.ts\0',
  // the kernel goes to /input/src/a.ts, a program that drops `..` from the text to /input/a.ts
  '/input/to-folder/../a.ts',
])('%j escapes', async (path) => {
  expect(await resolve(path)).toMatchObject(escaped);
});

test.each(['/input/.git', '/input/.git/config', '/input/to-hidden', '/input/src/../.git/config'])(
  '%s is hidden and does not exist',
  async (path) => {
    expect(await resolve(path)).toMatchObject({ exists: false, escapes: false });
  },
);

test('says which volume holds a path', async () => {
  expect((await resolvePaths(launch, ['/input/outside', '/output/x', '/etc'], true)).map(({ volumes }) => volumes)).toEqual([
    '/input',
    '/output',
    null,
  ]);
});

test('without a cage absolute links are read as the host reads them', async () => {
  expect(await resolve('/input/absolute-host', false)).toMatchObject(found('/input/src/a.ts'));
  expect(await resolve('/input/absolute-cage', false)).toMatchObject(escaped);
  expect(await resolve('/input/outside', false)).toMatchObject(escaped);
});
