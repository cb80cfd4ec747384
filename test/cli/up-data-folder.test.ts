import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dataFolderAt, prepareDataFolder } from '../../cli/up/data-folder.ts';
import { lockDataFolder } from '../../cli/up/data-lock.ts';
import { findPlatform } from '../../cli/up/find-platform.ts';
import { loadKeys } from '../../cli/up/keys.ts';
import { identify, isRunning } from '../../cli/up/process-identity.ts';
import { stopLeftovers } from '../../cli/up/stop-leftovers.ts';
import { writeSupervisorFile } from '../../cli/up/supervisor-file.ts';
import { keepTemporalFolder, prepareTemporalFolder } from '../../cli/up/temporal.ts';

let root: string;
let folder: ReturnType<typeof dataFolderAt>;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quarterdeck-data-'));
  folder = dataFolderAt(join(root, 'data'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const startSleeper = async () => {
  const child = spawn('/bin/sleep', ['60'], { detached: true, stdio: 'ignore' });
  await once(child, 'spawn');
  return { child, identity: identify(child.pid ?? 0) };
};

test('closes what is in a data folder to everybody else', () => {
  prepareDataFolder(folder);
  expect([folder.logs, folder.state, folder.runs].map(modeOf)).toEqual(['700', '700', '700']);
});

test('refuses a folder that a file stands in the way of, and a disk that is nearly full', () => {
  writeFileSync(join(root, 'file'), '');
  expect(() => prepareDataFolder(dataFolderAt(join(root, 'file', 'data')))).toThrow(
    /cannot be used: there is a file in the way.*--data DIR/,
  );
  expect(() => prepareDataFolder(folder, { freeMegabytes: () => 499 })).toThrow(/has 499 MB left and 500 are needed/);
});

test('lets one process have a data folder, and names it to the second', () => {
  prepareDataFolder(folder);
  const unlock = lockDataFolder(folder);
  expect(() => lockDataFolder(folder)).toThrow(`A platform already runs on ${folder.root} (pid ${process.pid})`);
  unlock();
  lockDataFolder(folder)();
  expect(readdirSync(folder.state)).toEqual([]);
});

test('takes the lock of a process that is gone, also when another one has its number now', async () => {
  prepareDataFolder(folder);
  writeFileSync(folder.lockFile, JSON.stringify({ pid: process.pid, startedAs: 'long ago' }));
  const unlock = lockDataFolder(folder);
  expect(JSON.parse(readFileSync(folder.lockFile, 'utf8'))).toEqual(identify(process.pid));
  unlock();
  writeFileSync(folder.lockFile, '{"pid":'); // cut short
  lockDataFolder(folder)();
});

test('ends what a dead supervisor has started, and leaves a process alone that only has the same number', async () => {
  prepareDataFolder(folder);
  const mine = await startSleeper();
  const foreign = await startSleeper();
  const record = { state: 'running', restarts: 0, stopSignal: 'SIGTERM' } as const;
  writeSupervisorFile(folder.supervisorFile, {
    pid: 1,
    startedAs: 'long ago',
    startedAt: new Date(0).toISOString(),
    port: 7420,
    profile: 'solo',
    processes: [
      { ...record, name: 'gateway', ...mine.identity },
      { ...record, name: 'host', pid: foreign.identity.pid, startedAs: 'long ago' },
      { ...record, name: 'worker' },
    ],
  });
  expect(findPlatform(folder.root)).toBeUndefined();
  expect(await stopLeftovers(folder)).toEqual(['gateway']);
  expect(isRunning(mine.identity)).toBe(false);
  expect(isRunning(foreign.identity)).toBe(true);
  expect(existsSync(folder.supervisorFile)).toBe(false);
  foreign.child.kill();
});

test('makes keys once, for us alone, and the same are there at the next start', async () => {
  prepareDataFolder(folder);
  const keys = await loadKeys(folder);
  expect(Buffer.from(keys.contentKey, 'base64')).toHaveLength(32);
  expect(new Set(Object.values(keys.internal)).size).toBe(4);
  expect(modeOf(folder.keys)).toBe('700');
  expect(readdirSync(folder.keys).map((name) => modeOf(join(folder.keys, name)))).toEqual(Array(5).fill('600'));
  expect(await loadKeys(folder)).toEqual(keys);
});

test('makes no new keys for data that the lost ones have locked', async () => {
  prepareDataFolder(folder);
  await loadKeys(folder);
  rmSync(join(folder.keys, 'content.key'));
  await expect(loadKeys(folder)).rejects.toThrow(/content.key is missing or damaged/);
  rmSync(folder.keys, { recursive: true });
  mkdirSync(folder.postgres);
  await expect(loadKeys(folder)).rejects.toThrow(/content.key is missing or damaged/);
});

test('throws the database of Temporal away that was never finished, and keeps one that was', () => {
  prepareDataFolder(folder);
  const file = prepareTemporalFolder(folder.temporal);
  writeFileSync(file, 'half');
  expect(existsSync(prepareTemporalFolder(folder.temporal))).toBe(false);
  writeFileSync(file, 'whole');
  keepTemporalFolder(folder.temporal);
  expect(readFileSync(prepareTemporalFolder(folder.temporal), 'utf8')).toBe('whole');
});
