import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../cli/setup/cache-folder.mjs';
import { withLock } from './lock.mjs';

/**
 * Gets something into our cache that is not there yet, of several at once by one alone.
 * @param name - of its lock and of the folder to work in
 * @param options.doing - what those who wait are told, such as `building the compiler`
 * @param options.isThere - asked before the lock is taken, and again under it
 * @param options.build - works in the empty folder that it is given, which goes afterwards
 */
export const buildOnce = async (name, { doing, isThere, build }) => {
  if (isThere()) return;
  await withLock(join(cacheFolder(), 'locks', name), doing, async () => {
    if (isThere()) return;
    const scratch = join(cacheFolder(), `${name}.new`); // ours while we hold the lock; what a killed run left goes
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch);
    try {
      await build(scratch);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
};
