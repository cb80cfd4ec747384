import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findCovers } from '../../runtime/bubblewrap/find-covers.ts';

let source: string;
const nothingPrivate = { privatePaths: [], openPaths: [] };
beforeAll(async () => {
  source = await realpath(await mkdtemp(join(tmpdir(), 'quarterdeck-covers-')));
  await mkdir(join(source, '.git/node_modules'), { recursive: true });
  await mkdir(join(source, 'deep/er/node_modules/x/node_modules'), { recursive: true });
  await mkdir(join(source, 'data/keys'), { recursive: true });
  await writeFile(join(source, 'deep/.git'), 'gitdir: elsewhere');
  await symlink('..', join(source, 'deep/er/.git'));
});
afterAll(() => rm(source, { recursive: true }));

test('finds hidden files and folders at any depth, and looks into none of them', async () => {
  const covers = await findCovers({ source, at: '/input', hide: ['.git', 'node_modules'], privacy: nothingPrivate });
  expect(covers.toSorted((one, other) => one.at.localeCompare(other.at))).toEqual([
    { at: '/input/.git', kind: 'folder' },
    { at: '/input/deep/.git', kind: 'file' },
    { at: '/input/deep/er/node_modules', kind: 'folder' },
  ]);
});

test('covers private folders and sockets without being asked', async () => {
  const socket = createServer().listen(join(source, 'deep/agent.sock'));
  await new Promise((resolve) => socket.once('listening', resolve));
  const covers = await findCovers({ source, at: '/input', hide: [], privacy: { privatePaths: [join(source, 'data')], openPaths: [] } });
  socket.close();
  expect(covers.toSorted((one, other) => one.at.localeCompare(other.at))).toEqual([
    { at: '/input/data', kind: 'folder' },
    { at: '/input/deep/agent.sock', kind: 'file' },
  ]);
});

test('refuses a private folder as a volume, except below an open one', async () => {
  const privacy = { privatePaths: [join(source, 'data')], openPaths: [join(source, 'data/runs')] };
  await mkdir(join(source, 'data/runs/one'), { recursive: true });
  const at = (path: string) => findCovers({ source: join(source, path), at: '/input', hide: [], privacy });
  await expect(at('data')).rejects.toMatchObject({ code: 'input_invalid' });
  await expect(at('data/keys')).rejects.toMatchObject({ code: 'input_invalid' });
  await expect(at('data/runs')).rejects.toMatchObject({ code: 'input_invalid' });
  await expect(at('data/runs/one')).resolves.toEqual([]);
});

test('refuses a folder with more to hide than a cage can cover', async () => {
  const crowded = join(source, 'crowded');
  await Promise.all(Array.from({ length: 2_001 }, (_, index) => mkdir(join(crowded, `${index}/x`), { recursive: true })));
  await expect(findCovers({ source: crowded, at: '/input', hide: ['x'], privacy: nothingPrivate })).rejects.toMatchObject({
    code: 'input_invalid',
    detail: expect.stringContaining('2000'),
  });
});
