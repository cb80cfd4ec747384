import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '../../schema/errors.ts';
import { library, platformPackage } from './model-release.ts';
import { CommandError, runCommand } from './run-command.ts';

/**
 * Installs node-llama-cpp and the native library of this platform into an empty folder, by npm with its own configuration.
 * Its other optional packages (700 MB for graphics cards) are left out, and no install script is run: it would compile for minutes.
 * @throws {PlatformError} `model_unavailable` when npm is missing or fails
 */
export const installLibrary = async (
  directory: string,
  { npmCommand = 'npm', signal }: { npmCommand?: string; signal?: AbortSignal },
): Promise<void> => {
  const packages = [`node-llama-cpp@${library.version}`, `${platformPackage()}@${library.version}`];
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  // A package of its own, else npm would look for one in the folders above.
  await writeFile(join(directory, 'package.json'), '{ "name": "local-model", "private": true }\n');
  try {
    await runCommand(
      npmCommand,
      ['install', '--prefix', directory, '--omit=optional', '--ignore-scripts', '--no-save', '--no-package-lock', ...quiet, ...packages],
      { cwd: directory, signal },
    );
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    const detail = cause.isMissing
      ? 'npm is not on the path, and it is needed to install node-llama-cpp. Install Node.js with npm, or use another model provider.'
      : `npm cannot install node-llama-cpp ${library.version}: ${cause.detail}. Check npm's registry with "npm ping", or use another model provider.`;
    throw new PlatformError('model_unavailable', detail, { cause });
  }
};
