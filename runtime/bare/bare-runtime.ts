import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findNpmProgram, nodeFlags } from '../ports/find-npm-program.ts';
import { runChild } from '../ports/run-child.ts';
import type { ServerRuntime } from '../ports/server-runtime.ts';
import { createPathTranslation, pathPairs, toHostPath } from './translate-paths.ts';

export type BareRuntimeConfig = { nodePath: string; packageRoot: string };

/**
 * Runs servers as plain processes, for machines where no cage can be had and the operator allowed that. Isolation tier 0.
 * They get a clean environment and see host paths, which are translated; nothing keeps them from reading other files, `hide` and `mode`
 * are not enforced, and they end when their input closes.
 */
export const createBareRuntime = ({ nodePath, packageRoot }: BareRuntimeConfig): ServerRuntime => ({
  start: async (launch) => {
    const pairs = pathPairs(launch);
    const given = launch.args.map((argument) => toHostPath(argument, pairs));
    const env = { PATH: `${dirname(nodePath)}:/usr/local/bin:/usr/bin:/bin`, ...launch.env };
    let commandLine: string[];
    if (launch.program.kind === 'command') {
      commandLine = [...launch.program.command.map((part) => toHostPath(part, pairs)), ...given];
    } else {
      const { nodeModules, script } = await findNpmProgram(launch.program, packageRoot);
      commandLine = [nodePath, ...nodeFlags(launch), join(nodeModules, script), ...given];
    }
    const [command = nodePath, ...args] = commandLine;
    const server = runChild({ command, args, env, cwd: tmpdir() });
    return { ...server, isolation: 0, ...(pairs.length > 0 && { translation: createPathTranslation(pairs) }) };
  },
});
