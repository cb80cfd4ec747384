import { closeSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { CliError } from '../output/cli-error.ts';
import { credentialsPath } from './credentials.ts';

const waitAtMostMs = 20_000;
/** Longer than anything is done under it: whoever held it was killed. */
const staleAfterMs = 30_000;

const take = (path: string): boolean => {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > staleAfterMs) rmSync(path, { force: true });
    return false;
  }
};

/**
 * Does something while no other command of this user uses a refresh token: one that is used twice ends the login, so two commands at once
 * must not both renew it.
 */
export const withCredentialsLock = async <T>(config: Pick<Config, 'configDirectory'>, work: () => Promise<T>): Promise<T> => {
  const path = `${credentialsPath(config)}.lock`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  for (const until = Date.now() + waitAtMostMs; !take(path); await wait(50))
    if (Date.now() > until) throw new CliError(`Another command holds ${path}`, { next: 'remove that file if none runs' });
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
};
