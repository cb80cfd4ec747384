import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config } from '../config.ts';

/** Where the user stands: `npm run` changes the folder and leaves a note of the one it was called in. */
export const workingDirectory = ({ environment }: Pick<Config, 'environment'>): string => environment.INIT_CWD || process.cwd();

/** Makes a path that a user gave absolute. A shell does not expand `~` behind `name=`, so it is done here. */
export const absolutePath = (config: Pick<Config, 'environment'>, path: string): string =>
  /^~(?=\/|$)/.test(path) ? join(homedir(), path.slice(1)) : resolve(workingDirectory(config), path);
