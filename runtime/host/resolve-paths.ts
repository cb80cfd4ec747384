import { lstat, readlink, realpath } from 'node:fs/promises';
import { join, posix, relative, sep } from 'node:path';
import type { ResolvedPath, ServerLaunch } from '../../schema/server-launch.ts';
import { isAtOrBelow } from '../../schema/server-launch.ts';

type Volume = { at: string; hostPath: string; hide: ReadonlySet<string> };
/** Names below a volume, links resolved; null when the way leaves the volume. */
type Place = { names: string[]; exists: boolean } | null;

/** As many as the kernel follows. */
const maximumLinks = 40;

const namesOf = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.');

/** Names below `root` when `path` is at or below it. */
const namesBelow = (path: string, root: string): string[] | null => {
  const [names, rootNames] = [namesOf(path), namesOf(root)];
  return rootNames.every((name, index) => names[index] === name) ? names.slice(rootNames.length) : null;
};

/**
 * Walks a volume the way the kernel would: links are followed where they stand, and `..` leaves the folder a link led to.
 * @param linkRoot - what an absolute link has to begin with to stay in the volume: inside a cage the volume's cage path, else its host path
 */
const walk = async (volume: Volume, requested: readonly string[], linkRoot: string): Promise<Place> => {
  const ahead = [...requested];
  let names: string[] = [];
  let exists = true;
  let links = 0;
  for (let name = ahead.shift(); name !== undefined; name = ahead.shift()) {
    if (name === '..') {
      if (names.pop() === undefined) return null;
      continue;
    }
    const status = exists ? await lstat(join(volume.hostPath, ...names, name)).catch(() => undefined) : undefined;
    if (status === undefined) exists = false;
    if (status?.isSymbolicLink() !== true) {
      names.push(name);
      continue;
    }
    links += 1;
    if (links > maximumLinks) return null;
    const target = await readlink(join(volume.hostPath, ...names, name));
    const below = target.startsWith('/') ? namesBelow(target, linkRoot) : namesOf(target);
    if (below === null) return null;
    if (target.startsWith('/')) names = [];
    ahead.unshift(...below);
  }
  return { names, exists };
};

/** Asks the file system for the real spelling (letter case) of what exists, and so checks the walk. */
const spell = async (volume: Volume, { names, exists }: NonNullable<Place>): Promise<Place> => {
  for (let count = names.length; count >= 0; count -= 1) {
    const real = await realpath(join(volume.hostPath, ...names.slice(0, count))).catch(() => undefined);
    if (real === undefined) continue;
    const below = relative(volume.hostPath, real);
    if (below === '..' || below.startsWith(`..${sep}`)) return null;
    return { names: [...below.split(sep).filter((name) => name !== ''), ...names.slice(count)], exists: exists && count === names.length };
  }
  return { names, exists: false };
};

const resolvePath = async (path: string, volumes: readonly Volume[], isCaged: boolean): Promise<ResolvedPath> => {
  const lexical = posix.normalize(path).replace(/(?<=.)\/+$/, '');
  const volume = volumes.find(({ at }) => isAtOrBelow(lexical, at));
  const escaped = { path, canonical: null, exists: false, escapes: true, volumes: volume?.at ?? null };
  if (volume === undefined || !path.startsWith('/') || path.includes('\0')) return escaped;
  const requested = namesBelow(path, volume.at);
  if (requested === null) return escaped;

  const linkRoot = isCaged ? volume.at : volume.hostPath;
  const place = await walk(volume, requested, linkRoot);
  const spelled = place && (await spell(volume, place));
  if (spelled === null) return escaped;
  if (requested.includes('..')) {
    // Some programs drop `..` from the text, some ask the kernel; where the two differ nobody can say which file is meant.
    const dropped = await walk(volume, namesBelow(lexical, volume.at) ?? [], linkRoot);
    if (dropped?.names.join('/') !== place?.names.join('/')) return escaped;
  }
  const isHidden = [...requested, ...spelled.names].some((name) => volume.hide.has(name));
  const canonical = [volume.at, ...spelled.names].join('/');
  return { path, canonical, exists: spelled.exists && !isHidden, escapes: false, volumes: volume.at };
};

/**
 * Says what paths inside a server's cage really name, for policies that judge paths.
 * A path of no volume, or one that leaves its volume by a link or by `..`, `escapes`. The answer is of this moment: the cage, not this, keeps a server in.
 * @param isCaged - whether the server sees cage paths; links with an absolute target lead elsewhere otherwise
 */
export const resolvePaths = async (launch: ServerLaunch, paths: readonly string[], isCaged: boolean): Promise<ResolvedPath[]> => {
  const volumes = await Promise.all(
    launch.volumes.map(async ({ at, hostPath, hide }) => ({
      at,
      hostPath: await realpath(hostPath).catch(() => hostPath),
      hide: new Set(hide),
    })),
  );
  volumes.sort((one, other) => other.at.length - one.at.length);
  return Promise.all(paths.map((path) => resolvePath(path, volumes, isCaged)));
};
