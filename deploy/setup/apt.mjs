import { join } from 'node:path';
import { cacheFolder } from '../../cli/setup/cache-folder.mjs';
import { findOnPath } from '../../cli/setup/find-on-path.mjs';
import { withLock } from './lock.mjs';
import { runCommand } from './run-command.mjs';
import { say } from './talk.mjs';

/** Whether Debian packages can be installed here without asking anybody. */
export const mayInstallPackages = () => process.getuid?.() === 0 && findOnPath('apt-get') !== undefined;

/**
 * Installs a Debian package that brings `command`, unless somebody else has done so meanwhile.
 * @param what - said before it begins: what it is, how large or long
 * @returns whether the command is there now
 */
export const installPackage = (name, command, what) =>
  withLock(join(cacheFolder(), 'locks', 'apt'), `installing ${name}`, async () => {
    if (findOnPath(command) !== undefined) return true;
    say(`apt-get update && apt-get install -y ${name}: ${what}`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const wait = ['-o', 'DPkg::Lock::Timeout=120']; // another apt may be at work
    const code =
      (await runCommand('apt-get', [...wait, 'update'], { env })) ||
      (await runCommand('apt-get', [...wait, 'install', '-y', name], { env }));
    if (code !== 0) say(`apt-get failed (exit ${code}, its words stand above)`);
    return code === 0;
  });
