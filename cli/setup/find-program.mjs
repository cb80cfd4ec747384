import { findOnPath, isExecutable } from './find-on-path.mjs';

/**
 * A program of this machine: the one on the path, else the one that the set-up keeps. Looks only; fetches nothing.
 * @param name - file name of the program
 * @param options.searchPath - folders as in the PATH variable
 * @param options.cached - where the set-up keeps it
 * @returns absolute path, or undefined where the machine has none
 */
export const findProgram = (name, { searchPath, cached }) => findOnPath(name, searchPath) ?? (isExecutable(cached) ? cached : undefined);
