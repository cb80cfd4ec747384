import { realpathSync } from 'node:fs';
import { isExactNumber } from '../../schema/exact-json.ts';
import type { ServerLaunch } from '../../schema/server-launch.ts';
import type { PathTranslation } from '../ports/server-runtime.ts';

/** A folder under both its names. */
export type PathPair = { at: string; hostPath: string };

/** Volumes and mounts of a launch, longest cage path first. */
export const pathPairs = (launch: ServerLaunch): PathPair[] =>
  [
    ...launch.volumes.map(({ at, hostPath }) => ({ at, hostPath: hostPath.replace(/(?<=.)\/+$/, '') })),
    ...launch.mounts.map(({ at, source }) => ({ at, hostPath: source.replace(/(?<=.)\/+$/, '') })),
  ].sort((one, other) => other.at.length - one.at.length);

/** `/input/a` as the host knows it; text that is no cage path stays as it is. */
export const toHostPath = (text: string, pairs: readonly PathPair[]): string => {
  const pair = pairs.find(({ at }) => text === at || text.startsWith(`${at}/`));
  return pair === undefined ? text : pair.hostPath + text.slice(pair.at.length);
};

const mapStrings = (value: unknown, change: (text: string) => string): unknown => {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (typeof value !== 'object' || value === null || isExactNumber(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mapStrings(item, change)]));
};

const escapePattern = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/**
 * Lets callers speak of `/input/a` to a server that runs outside of a cage and knows the folder under its host path.
 * To the server, strings that are a cage path are changed; back from it, every occurrence of a host path inside a text, file contents included.
 * This is a convenience where no cage can be had, not a protection.
 */
export const createPathTranslation = (pairs: readonly PathPair[]): PathTranslation => {
  // A server answers with the real path where the given one leads over a link (/tmp on macOS).
  const spellings = pairs.flatMap(({ at, hostPath }) => {
    let real = hostPath;
    try {
      real = realpathSync(hostPath);
    } catch {
      // does not exist: the server reports it in its own way
    }
    return [...new Set([hostPath, real])].map((host) => ({ at, host }));
  });
  const byHost = new Map(spellings.map(({ at, host }) => [host, at]));
  const hosts = spellings.map(({ host }) => host).sort((one, other) => other.length - one.length);
  // A host path ends where its last name ends: /data/in does not occur in /data/input.
  const pattern = new RegExp(`(?<![\\w.-])(?:${hosts.map(escapePattern).join('|')})(?![\\w-]|\\.\\w)`, 'g');
  return {
    toServer: (value) => mapStrings(value, (text) => toHostPath(text, pairs)),
    fromServer: (value) =>
      hosts.length === 0 ? value : mapStrings(value, (text) => text.replace(pattern, (host) => byHost.get(host) ?? host)),
  };
};
