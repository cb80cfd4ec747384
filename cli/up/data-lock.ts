import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import type { DataFolder } from './data-folder.ts';
import { identify, isRunning } from './process-identity.ts';

const OwnerSchema = z.object({ pid: z.int(), startedAs: z.string() });
type Owner = z.infer<typeof OwnerSchema>;

const readOwner = (path: string): Owner | undefined => {
  try {
    return OwnerSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
};

/**
 * Takes a data folder for this process. The lock is a file with its holder in it, made by `link`, which only one can win; the lock
 * of a process that no longer runs is moved aside.
 * @returns a function that gives it back
 * @throws {PlatformError} `conflict`, naming who holds it
 */
export const lockDataFolder = ({ root, lockFile }: Pick<DataFolder, 'root' | 'lockFile'>): (() => void) => {
  const mine = `${lockFile}.${randomBytes(4).toString('hex')}`;
  writeFileSync(mine, JSON.stringify(identify(process.pid)), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      try {
        linkSync(mine, lockFile);
        return () => rmSync(lockFile, { force: true });
      } catch (error) {
        if ((error as { code?: string }).code !== 'EEXIST') throw error;
      }
      const owner = readOwner(lockFile);
      if (owner && isRunning(owner)) throw heldBy(root, owner);
      moveAside(lockFile, owner);
    }
    throw heldBy(root, undefined);
  } finally {
    rmSync(mine, { force: true });
  }
};

const heldBy = (root: string, owner: Owner | undefined): PlatformError =>
  new PlatformError(
    'conflict',
    `A platform already runs on ${root}${owner ? ` (pid ${owner.pid})` : ''}: use it, stop it with \`quarterdeck down\`, or choose another folder with \`--data DIR\`.`,
  );

/** Of two that found the same dead lock, the slower one may have caught the live lock of the faster: it is put back. */
const moveAside = (lockFile: string, dead: Owner | undefined): void => {
  const aside = `${lockFile}.${randomBytes(4).toString('hex')}`;
  try {
    renameSync(lockFile, aside);
    const caught = readOwner(aside);
    if (caught && (caught.pid !== dead?.pid || caught.startedAs !== dead.startedAs) && isRunning(caught)) linkSync(aside, lockFile);
  } catch {
    // somebody else moved it; the next attempt sees what is there now
  } finally {
    rmSync(aside, { force: true });
  }
};
