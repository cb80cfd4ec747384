import { readdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { PlatformError } from '../../schema/errors.ts';
import { isAtOrBelow } from '../../schema/server-launch.ts';

/** bubblewrap takes 9,000 arguments at most; a covered folder costs four. */
const maximumCovers = 2_000;
const maximumVisited = 250_000;

export type Cover = { at: string; kind: 'folder' | 'file' };

/** Real paths: `privatePaths` are host folders that no cage may see, such as the platform's own data; volumes may still lie below `openPaths`. */
export type PathPrivacy = { privatePaths: readonly string[]; openPaths: readonly string[] };

/** A volume by its real path. */
export type CoverRequest = { source: string; at: string; hide: readonly string[]; privacy: PathPrivacy };

/**
 * Walks a volume and lists what has to be covered in the cage: entries with a hidden name at any depth, private folders, and sockets
 * (a read-only mount does not keep anybody from connecting to one).
 * Links are neither followed nor covered: what they lead to is outside of the cage, hidden by its own name, or visible under it anyway.
 * Entries made after the walk are not covered.
 * @throws {PlatformError} `input_invalid` when there is more to cover or to walk than a cage can take, or a folder cannot be read
 */
export const findCovers = async ({ source, at, hide, privacy }: CoverRequest): Promise<Cover[]> => {
  const refuse = (text: string, cause?: unknown) => new PlatformError('input_invalid', `The folder for ${at} ${text}`, { cause });
  const isOpen = privacy.openPaths.some((path) => source.startsWith(`${path}/`));
  if (!isOpen && privacy.privatePaths.some((path) => isAtOrBelow(source, path)))
    throw refuse('is private to the platform; choose another one.');
  const hidden = new Set(hide);
  const covers: Cover[] = [];
  const folders: [host: string, cage: string][] = [[source, at]];
  let visited = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const [hostFolder, cageFolder] = folder;
    const entries = await readdir(hostFolder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
      // Gone since it was listed, or closed to the host, and so to the server it starts.
      if (cause.code === 'ENOENT' || cause.code === 'EACCES') return [];
      throw refuse(`cannot be read (${cause.code ?? 'unknown error'}).`, cause);
    });
    visited += entries.length;
    if (visited > maximumVisited)
      throw refuse(`holds more than ${maximumVisited} entries; choose a smaller one or hide its large folders.`);
    for (const entry of entries) {
      const host = join(hostFolder, entry.name);
      const cage = posix.join(cageFolder, entry.name);
      const isHidden = hidden.has(entry.name) || privacy.privatePaths.includes(host) || entry.isSocket();
      if (isHidden && !entry.isSymbolicLink()) covers.push({ at: cage, kind: entry.isDirectory() ? 'folder' : 'file' });
      else if (entry.isDirectory()) folders.push([host, cage]);
    }
    if (covers.length > maximumCovers) throw refuse(`holds more than ${maximumCovers} entries to hide; choose a smaller one.`);
  }
  return covers;
};
