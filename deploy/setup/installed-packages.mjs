import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Whether `node_modules` holds what `package-lock.json` names, judged by the list that npm itself leaves there. It spares whoever ran
 * `npm install` by hand a second installation.
 * @param root - folder of the clone
 */
export const installedMatchesLock = (root) => {
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(join(root, 'node_modules', '.package-lock.json'));
  if (wanted === undefined || installed === undefined) return false;
  const asLocked = Object.entries(installed).every(([path, { version }]) => wanted[path]?.version === version);
  // Optional packages are those of other platforms.
  const complete = Object.entries(wanted).every(([path, entry]) => path === '' || isOptional(entry) || path in installed);
  return asLocked && complete;
};

const isOptional = (entry) => entry.optional === true || entry.devOptional === true || entry.peer === true;

const readPackages = (file) => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
};
