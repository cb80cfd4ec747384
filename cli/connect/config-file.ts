import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, mkdir, open, readFile, readlink, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CliError } from '../output/cli-error.ts';

const byteOrderMark = '\ufeff';

/** A configuration file as it was read; `text` is undefined where there is none. `path` is the real one, links followed. */
export type ConfigFile = { path: string; text: string | undefined; mark: string; bytes: Buffer | undefined };

const isMissing = (error: unknown): boolean => (error as { code?: string }).code === 'ENOENT';

/** Where writing would end up: at the end of all links, also when nothing is there yet. */
const realPathOf = async (path: string, links = 40): Promise<string> => {
  const status = await lstat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (status?.isSymbolicLink() && links > 0) return realPathOf(resolve(dirname(path), await readlink(path)), links - 1);
  const folder = await realpath(dirname(path)).catch(() => dirname(path));
  return join(folder, basename(path));
};

const decode = (bytes: Buffer, path: string): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new CliError(`${path} is not UTF-8, so nothing was changed`, { cause });
  }
};

/** @throws {CliError} for something that is no text file */
export const readConfigFile = async (given: string): Promise<ConfigFile> => {
  const path = await realPathOf(given);
  const bytes = await readFile(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    const { code = String(error) } = error as { code?: string };
    throw new CliError(`${path} cannot be read (${code})`, { cause: error });
  });
  const text = bytes && decode(bytes, path);
  const mark = text?.startsWith(byteOrderMark) ? byteOrderMark : '';
  return { path, bytes, mark, text: text?.slice(mark.length) };
};

const isUnchanged = async ({ path, bytes }: ConfigFile): Promise<boolean> => {
  const now = await readFile(path).catch(() => undefined);
  return now === undefined || bytes === undefined ? now === bytes : now.equals(bytes);
};

const refuseChanged = ({ path }: ConfigFile): never => {
  throw new CliError(`${path} was changed by somebody else at this moment, so nothing was written`, {
    code: 'conflict',
    next: 'say it again',
  });
};

/** Keeps what the file lets whom do; owner and group only where we may give files away. */
const copyRights = async (from: string, to: string): Promise<void> => {
  const { mode, uid, gid } = await stat(from);
  await chown(to, uid, gid).catch(() => undefined);
  await chmod(to, mode & 0o7777);
};

/**
 * Replaces the file as a whole: who reads it meanwhile sees the old one or the new one.
 * @param mode - for a file that is not there yet
 * @returns folders that had to be made, the outermost first
 * @throws {CliError} `conflict` when it is not any more what was read
 */
export const writeConfigFile = async (file: ConfigFile, text: string, mode: number): Promise<string[]> => {
  const folder = dirname(file.path);
  const outermost = await mkdir(folder, { recursive: true });
  const unfinished = `${file.path}.${randomBytes(4).toString('hex')}`;
  try {
    const handle = await open(unfinished, 'wx', file.bytes === undefined ? mode : 0o600);
    await handle.writeFile(file.mark + text);
    await handle.sync();
    await handle.close();
    if (file.bytes !== undefined) await copyRights(file.path, unfinished);
    if (!(await isUnchanged(file))) refuseChanged(file);
    await rename(unfinished, file.path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  const made: string[] = [];
  for (let each = folder; outermost !== undefined && each.length >= outermost.length; each = dirname(each)) made.unshift(each);
  return made;
};

/** Deletes a file that we made, and the folders that we made for it where nothing else is in them. */
export const deleteConfigFile = async (file: ConfigFile, madeFolders: readonly string[]): Promise<void> => {
  if (!(await isUnchanged(file))) refuseChanged(file);
  await rm(file.path);
  for (const folder of madeFolders.toReversed()) await rmdir(folder).catch(() => undefined);
};
