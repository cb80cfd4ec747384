import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Finds a program as a shell would, without starting one (a start costs more than the whole look-up).
 * @param name - file name of the program
 * @param searchPath - folders separated as in the PATH variable
 * @returns absolute path of the first executable file of that name, or undefined
 */
export const findOnPath = (name, searchPath = process.env.PATH ?? '') =>
  searchPath
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);

/** @param path - file to look at; a folder or a missing file is not executable */
export const isExecutable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};
