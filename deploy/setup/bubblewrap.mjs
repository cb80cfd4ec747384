import { findOnPath } from '../../cli/setup/find-on-path.mjs';
import { installPackage, mayInstallPackages } from './apt.mjs';
import { say } from './talk.mjs';

/**
 * Makes sure, where it can, that MCP servers can run in cages (bubblewrap). Where it cannot, it says in one line what helps and goes
 * on: the platform itself refuses to run a server without a cage unless it is told to.
 */
export const ensureBubblewrap = async () => {
  if (process.platform !== 'linux') {
    say('there are no cages on this system: MCP servers run only with `quarterdeck up --allow-uncaged`');
  } else if (findOnPath('bwrap') === undefined) {
    const what = 'the cage of MCP servers, a Debian package of about 50 kB, some seconds';
    const isThere = mayInstallPackages() && (await installPackage('bubblewrap', 'bwrap', what));
    if (!isThere) say(`bubblewrap is missing, MCP servers cannot be caged; run: ${commandThatHelps()}`);
  }
};

const commandThatHelps = () =>
  findOnPath('apt-get') === undefined
    ? 'the package manager of this system, for the package bubblewrap'
    : 'sudo apt-get install bubblewrap';
