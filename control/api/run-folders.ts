import { constants } from 'node:fs';
import { access, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { PlatformError } from '../../schema/errors.ts';
import { isAtOrBelow } from '../../schema/server-launch.ts';

const refuse = (detail: string, cause?: unknown): never => {
  throw new PlatformError('input_invalid', detail, { cause });
};

const within = (path: string, folder: string): boolean => folder === '/' || isAtOrBelow(path, folder);

/** The data folder holds keys and the database: nothing of it is shown to agents but what earlier runs wrote. */
const keepOutOfData = (path: string, dataDirectory: string, what: string): void => {
  if (within(dataDirectory, path))
    refuse(`${what}: ${path} holds the data folder ${dataDirectory} with its keys; choose a folder beside it.`);
  if (within(path, dataDirectory) && !within(path, join(dataDirectory, 'runs')))
    refuse(`${what}: ${path} lies in the data folder; choose a folder outside of ${dataDirectory}.`);
};

/**
 * Finds the folder that an input names.
 * @returns its real path, links resolved
 * @throws {PlatformError} `input_invalid`
 */
export const findInputFolder = async (name: string, path: string, dataDirectory: string): Promise<string> => {
  const what = `The input ${name}`;
  if (!isAbsolute(path)) refuse(`${what}: ${path} is not an absolute path; give the folder from the root on.`);
  const real = await realpath(path).catch((cause) => refuse(`${what}: there is no folder ${path}; give one that exists.`, cause));
  if (!(await stat(real)).isDirectory()) refuse(`${what}: ${path} is not a folder; give a folder.`);
  await access(real, constants.R_OK | constants.X_OK).catch((cause) =>
    refuse(`${what}: the folder ${path} cannot be read by the platform; check its permissions.`, cause),
  );
  keepOutOfData(real, await realpath(dataDirectory), what);
  return real;
};

/** The nearest part of a path that exists, links resolved, with the rest behind it. */
const realPathOfNew = async (path: string): Promise<string> => {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await realPathOfNew(parent), path.slice(parent.length));
  }
};

/**
 * Makes the folder that a run writes to. It and the input folders may not hold one another: what agents write would be read as input.
 * @throws {PlatformError} `input_invalid`
 */
export const makeOutputFolder = async (path: string, inputFolders: string[], dataDirectory: string): Promise<string> => {
  const what = 'The output folder';
  if (!isAbsolute(path)) refuse(`${what}: ${path} is not an absolute path; give the folder from the root on.`);
  // judged before anything is made, links included
  const target = await realPathOfNew(path);
  keepOutOfData(target, await realpath(dataDirectory), what);
  for (const folder of inputFolders)
    if (within(target, folder) || within(folder, target))
      refuse(`${what}: ${path} and the input folder ${folder} lie in one another; choose another.`);
  await mkdir(target, { recursive: true }).catch((cause) =>
    refuse(`${what}: ${path} cannot be made; choose a folder you may write to.`, cause),
  );
  if (!(await stat(target)).isDirectory()) refuse(`${what}: ${path} is not a folder; choose another.`);
  await access(target, constants.W_OK | constants.X_OK).catch((cause) =>
    refuse(`${what}: the platform may not write to ${path}; check its permissions.`, cause),
  );
  return target;
};
