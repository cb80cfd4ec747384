import { spawn } from 'node:child_process';
import { delimiter } from 'node:path';

/**
 * Runs a program and shows what it prints, all of it on stderr.
 * @param command - program, looked up on the PATH of `options.env`
 * @param args - its arguments, never joined to a shell line
 * @param options.cwd - folder to run in
 * @param options.env - its whole environment
 * @param options.quiet - swallow what it prints
 * @returns exit code; 127 when it could not be started, 128 when a signal ended it
 */
export const runCommand = (command, args, { cwd, env = process.env, quiet = false } = {}) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: quiet ? 'ignore' : ['ignore', 2, 2] });
    child.on('error', () => resolve(127));
    child.on('close', (code) => resolve(code ?? 128));
  });

/**
 * The environment without the folders that `npm run` puts first on the path. `npm ci` removes `node_modules` while it runs, and must
 * not run on a Node that it is removing.
 */
export const environmentOutsideNodeModules = (env = process.env) => ({
  ...env,
  PATH: (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !/[\\/]node_modules[\\/]/.test(`${folder}/`))
    .join(delimiter),
});
