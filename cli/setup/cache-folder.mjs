import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where everything is kept that is fetched or built once per user and shared by all clones: Temporal, the tiny model.
 * Plain JavaScript without dependencies, so that the set-up can use it before anything is installed.
 * @returns absolute path; the folder may not exist yet
 */
export const cacheFolder = () => join(homedir(), '.cache', 'quarterdeck');
