import { accessSync, chmodSync, constants, mkdirSync, statfsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { cannotStart } from './cannot-start.ts';

/** Where everything lies that one platform keeps. */
export type DataFolder = ReturnType<typeof dataFolderAt>;

/** Names the places in a data folder; makes nothing. */
export const dataFolderAt = (directory: string) => {
  const root = resolve(directory);
  return {
    root,
    /** Keys and passwords; closed to everybody else. */
    keys: join(root, 'keys'),
    postgres: join(root, 'postgres'),
    temporal: join(root, 'temporal'),
    logs: join(root, 'logs'),
    /** What runs now: who supervises, and the addresses and tokens that the command line uses. */
    state: join(root, 'state'),
    lockFile: join(root, 'state', 'lock.json'),
    supervisorFile: join(root, 'state', 'supervisor.json'),
    readyFile: join(root, 'state', 'ready.json'),
    /** How far the audit had come, signed: the copy outside the database. */
    checkpoints: join(root, 'audit', 'checkpoints.jsonl'),
    /** Ways out of caged servers, one folder each; the egress process alone writes there. */
    egress: join(root, 'egress'),
    /** Outputs of runs, `ID/output` each. */
    runs: join(root, 'runs'),
  };
};

const needMegabytes = 500;

/** What keeps us from writing at a place that may not exist yet; Node's recursive `mkdir` says ENOENT on a read-only file system. */
const obstacleAt = (path: string): unknown => {
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status && path !== dirname(path)) return obstacleAt(dirname(path));
  if (status && !status.isDirectory()) return { code: 'ENOTDIR' };
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return error;
  }
};

const reason = (error: unknown): string => {
  const code = (error as { code?: string }).code;
  if (code === 'EACCES' || code === 'EPERM') return 'this user may not write there';
  if (code === 'EROFS') return 'the file system is read-only';
  if (code === 'ENOTDIR' || code === 'EEXIST') return 'there is a file in the way';
  if (code === 'ENOSPC') return 'the disk is full';
  return String(code ?? error);
};

/**
 * Makes the folders that are missing. Postgres may have an account of its own, so the root can be walked through; everything
 * in it is closed.
 * @param options.freeMegabytes - free space of a folder's disk; the system's answer by default
 * @throws {PlatformError} `input_invalid` when it cannot be written or the disk is nearly full
 */
export const prepareDataFolder = (
  folder: DataFolder,
  { freeMegabytes = freeMegabytesAt }: { freeMegabytes?: (path: string) => number } = {},
): void => {
  try {
    mkdirSync(folder.root, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
    accessSync(folder.root, constants.W_OK | constants.X_OK);
    if (process.getuid?.() === 0) chmodSync(folder.root, 0o711);
    for (const part of [folder.logs, folder.state, folder.runs]) mkdirSync(part, { recursive: true, mode: 0o700 });
    for (const part of [folder.logs, folder.state]) accessSync(part, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw cannotStart(
      `The data folder ${folder.root} cannot be used: ${reason(obstacleAt(folder.root) ?? error)}. Choose another one with \`--data DIR\`.`,
      error,
    );
  }
  const free = freeMegabytes(folder.root);
  if (free < needMegabytes)
    throw cannotStart(
      `The disk of ${folder.root} has ${free} MB left and ${needMegabytes} are needed: free some (\`du -xh ${dirname(folder.root)} | sort -h | tail\`), or choose another disk with \`--data DIR\`.`,
    );
};

/** Megabytes that we may still write where `path` lies. */
export const freeMegabytesAt = (path: string): number => {
  const { bavail, bsize } = statfsSync(path);
  return Math.floor((bavail * bsize) / 1_000_000);
};
