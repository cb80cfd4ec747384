import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { folderFiles } from '../egress/reachable-server.ts';
import { findNpmProgram, nodeFlags } from '../ports/find-npm-program.ts';
import { findWayOut, wayOutVariables } from '../ports/reach-out.ts';
import { runChild } from '../ports/run-child.ts';
import type { ServerRuntime } from '../ports/server-runtime.ts';
import { forwardHere } from './forward-here.ts';
import { createPathTranslation, pathPairs, toHostPath } from './translate-paths.ts';

export type BareRuntimeConfig = {
  nodePath: string;
  packageRoot: string;
  /** Where the egress process keeps the ways out of servers. */
  egressDirectory?: string | undefined;
};

/**
 * Runs servers as plain processes, for machines where no cage can be had and the operator allowed that. Isolation tier 0.
 * They get a clean environment and see host paths, which are translated; nothing keeps them from reading other files, `hide` and `mode`
 * are not enforced, and they end when their input closes. Nor is `egress`: they are told of the proxy, which is how their secrets work, and
 * nothing keeps them from connecting past it.
 */
export const createBareRuntime = ({ nodePath, packageRoot, egressDirectory }: BareRuntimeConfig): ServerRuntime => ({
  start: async (launch) => {
    const pairs = pathPairs(launch);
    const given = launch.args.map((argument) => toHostPath(argument, pairs));
    let commandLine: string[];
    if (launch.program.kind === 'command') {
      commandLine = [...launch.program.command.map((part) => toHostPath(part, pairs)), ...given];
    } else {
      const { nodeModules, script } = await findNpmProgram(launch.program, packageRoot);
      commandLine = [nodePath, ...nodeFlags(launch), join(nodeModules, script), ...given];
    }
    const wayOut = await findWayOut(launch, egressDirectory);
    const proxy = wayOut && (await forwardHere(join(wayOut.folder, folderFiles.socket)));
    const variables = wayOut && proxy && { ...wayOut.placeholders, ...wayOutVariables({ proxyUrl: proxy.url, folder: wayOut.folder }) };
    const env = { PATH: `${dirname(nodePath)}:/usr/local/bin:/usr/bin:/bin`, ...launch.env, ...variables };
    const [command = nodePath, ...args] = commandLine;
    const server = runChild({ command, args, env, cwd: tmpdir() });
    if (proxy) void server.exited.then(proxy.close);
    return { ...server, isolation: 0, ...(pairs.length > 0 && { translation: createPathTranslation(pairs) }) };
  },
});
