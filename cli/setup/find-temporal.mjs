import { join } from 'node:path';
import { cacheFolder } from './cache-folder.mjs';
import { findProgram } from './find-program.mjs';

/** Release of Temporal's command line that the set-up fetches or builds; it carries server 1.29.1. Later ones refuse `go install`. */
export const temporalVersion = '1.5.1';

/** Where the set-up keeps the `temporal` program that it fetched or built. */
export const cachedTemporal = (cache = cacheFolder()) => join(cache, `temporal-${temporalVersion}`, 'temporal');

/**
 * The `temporal` program of this machine: the one on the path, else the one in our cache. Looks only; fetches nothing.
 * @param options.searchPath - folders as in the PATH variable, which is the default
 * @param options.cache - our cache folder, `~/.cache/quarterdeck` by default
 * @returns absolute path, or undefined where the machine has none (`deploy/setup/prepare.mjs` gets it)
 */
export const findTemporal = ({ searchPath = process.env.PATH ?? '', cache = cacheFolder() } = {}) =>
  findProgram('temporal', { searchPath, cached: cachedTemporal(cache) });
