import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../cli/setup/cache-folder.mjs';
import { installedMatchesLock } from './installed-packages.mjs';
import { withLock } from './lock.mjs';
import { environmentOutsideNodeModules, runCommand } from './run-command.mjs';
import { SetupError, say, secondsSince } from './talk.mjs';

/**
 * Installs what `package-lock.json` names unless `node_modules` holds just that, Node 24 (the npm package `node`) included.
 * @param root - folder of the clone
 * @throws {SetupError} when npm fails, or Node 24 is not there afterwards
 */
export const ensureDependencies = async (root) => {
  if (isInstalled(root)) return;
  const lockName = createHash('sha256').update(root).digest('hex').slice(0, 16);
  await withLock(join(cacheFolder(), 'locks', `npm-${lockName}`), 'installing the npm packages', async () => {
    if (isInstalled(root)) return;
    if (installedMatchesLock(root) && nodeVersion(root) !== undefined) return writeStamp(root); // somebody ran npm by hand
    await install(root);
  });
};

const install = async (root) => {
  const startedAt = performance.now();
  const count = Object.keys(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages ?? {}).length - 1;
  say(`npm ci: up to ${count} packages, about 0.8 GB, usually 15 to 60 s, kept in ${join(root, 'node_modules')}`);
  rmSync(stampFile(root), { force: true });
  const code = await runCommand('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    env: environmentOutsideNodeModules(),
  });
  if (code === 127) throw new SetupError('npm is not on the path. Install Node 20 or newer together with npm.');
  if (code !== 0) throw new SetupError(`npm ci failed (exit ${code}, its words stand above). Mend that and start again.`);
  const version = nodeVersion(root);
  if (version === undefined) {
    throw new SetupError(
      'npm ci left no node_modules/.bin/node of version 24. If npm is told to ignore install scripts, run: npm rebuild --ignore-scripts=false',
    );
  }
  writeStamp(root);
  say(`npm ci: done in ${secondsSince(startedAt)}, Node ${version}`);
};

/** Version of the Node that npm scripts run on, when it is a 24; it is started once per install, not at each look. */
const nodeVersion = (root) => {
  try {
    const version = execFileSync(nodeProgram(root), ['--version'], { encoding: 'utf8' }).trim();
    return version.startsWith('v24.') ? version : undefined;
  } catch {
    return undefined;
  }
};

const nodeProgram = (root) => join(root, 'node_modules', '.bin', 'node');
const stampFile = (root) => join(root, 'node_modules', '.quarterdeck-setup');

/** What was installed: the lock file's content, which pins Node too, and the machine that install scripts ran for. */
const expectedStamp = (root) =>
  `${createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')} ${process.platform}-${process.arch}\n`;

const writeStamp = (root) => writeFileSync(stampFile(root), expectedStamp(root));

const isInstalled = (root) => {
  try {
    return readFileSync(stampFile(root), 'utf8') === expectedStamp(root) && existsSync(nodeProgram(root));
  } catch {
    return false;
  }
};
