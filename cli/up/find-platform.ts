import { PlatformError } from '../../schema/errors.ts';
import { dataFolderAt } from './data-folder.ts';
import { isRunning } from './process-identity.ts';
import { readSupervisorFile, type SupervisorRecord } from './supervisor-file.ts';

/** Who supervises the platform on a data folder; undefined when none runs there. */
export const findPlatform = (dataDirectory: string): SupervisorRecord | undefined => {
  const record = readSupervisorFile(dataFolderAt(dataDirectory).supervisorFile);
  return record && isRunning(record) ? record : undefined;
};

/** @throws {PlatformError} `not_found` when none runs there */
export const requirePlatform = (dataDirectory: string): SupervisorRecord => {
  const record = findPlatform(dataDirectory);
  if (record) return record;
  throw new PlatformError(
    'not_found',
    `No platform runs on ${dataFolderAt(dataDirectory).root}: start one with \`quarterdeck up\`, or name its folder with \`--data DIR\`.`,
  );
};
