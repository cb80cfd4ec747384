import { join } from 'node:path';
import { cacheFolder } from './cache-folder.mjs';
import { findProgram } from './find-program.mjs';

/** Release of the Open Policy Agent that the set-up builds: its program compiles the Rego of policies. */
export const opaVersion = '1.22.4';

/** Where the set-up keeps the `opa` program that it built. */
export const cachedOpa = (cache = cacheFolder()) => join(cache, `opa-${opaVersion}`, 'opa');

/**
 * The `opa` program of this machine: the one on the path, else the one in our cache. Looks only; fetches nothing.
 * @param options.searchPath - folders as in the PATH variable, which is the default
 * @param options.cache - our cache folder, `~/.cache/quarterdeck` by default
 * @returns absolute path, or undefined where the machine has none (`deploy/setup/prepare.mjs --for full` builds it)
 */
export const findOpa = ({ searchPath = process.env.PATH ?? '', cache = cacheFolder() } = {}) =>
  findProgram('opa', { searchPath, cached: cachedOpa(cache) });
