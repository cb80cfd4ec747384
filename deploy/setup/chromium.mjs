import { findOnPath } from '../../cli/setup/find-on-path.mjs';
import { installPackage, mayInstallPackages } from './apt.mjs';
import { say } from './talk.mjs';

/**
 * Makes sure, where it can, that there is a browser for the stories of people who log in. Where it cannot, it says in one line what
 * helps and goes on: those tests then fail by name, and nothing else does.
 */
export const ensureChromium = async () => {
  if (findOnPath('chromium') !== undefined) return;
  const what = 'the browser of the tests, about 300 MB with what it needs, a minute or two';
  const isThere = process.platform === 'linux' && mayInstallPackages() && (await installPackage('chromium', 'chromium', what));
  if (!isThere) say('chromium is missing, so nobody can log in by a browser in the tests; install the package chromium of this system');
};
