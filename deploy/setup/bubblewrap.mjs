import { join } from 'node:path';
import { cacheFolder } from '../../cli/setup/cache-folder.mjs';
import { findOnPath } from '../../cli/setup/find-on-path.mjs';
import { withLock } from './lock.mjs';
import { runCommand } from './run-command.mjs';
import { say } from './talk.mjs';

/**
 * Makes sure, where it can, that MCP servers can run in cages (bubblewrap). Where it cannot, it says in one line what helps and goes
 * on: the platform itself refuses to run a server without a cage unless it is told to.
 */
export const ensureBubblewrap = async () => {
  if (process.platform !== 'linux') {
    say('there are no cages on this system: MCP servers run only with `quarterdeck up --allow-uncaged`');
  } else if (findOnPath('bwrap') === undefined) {
    const mayInstall = process.getuid?.() === 0 && findOnPath('apt-get') !== undefined;
    if (mayInstall) await install();
    else say(`bubblewrap is missing, MCP servers cannot be caged; run: ${commandThatHelps()}`);
  }
};

const commandThatHelps = () =>
  findOnPath('apt-get') === undefined
    ? 'the package manager of this system, for the package bubblewrap'
    : 'sudo apt-get install bubblewrap';

const install = () =>
  withLock(join(cacheFolder(), 'locks', 'apt'), 'installing bubblewrap', async () => {
    if (findOnPath('bwrap') !== undefined) return;
    say('apt-get update && apt-get install -y bubblewrap: the cage of MCP servers, a Debian package of about 50 kB, some seconds');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const wait = ['-o', 'DPkg::Lock::Timeout=120']; // another apt may be at work
    const code =
      (await runCommand('apt-get', [...wait, 'update'], { env })) ||
      (await runCommand('apt-get', [...wait, 'install', '-y', 'bubblewrap'], { env }));
    if (code !== 0)
      say(`apt-get failed (exit ${code}, its words stand above), MCP servers cannot be caged; run: apt-get install bubblewrap`);
  });
