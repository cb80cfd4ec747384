import { realpath, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { PlatformError } from '../../schema/errors.ts';
import type { ServerLaunch } from '../../schema/server-launch.ts';
import { folderFiles } from '../egress/reachable-server.ts';
import { findNpmProgram, nodeFlags } from '../ports/find-npm-program.ts';
import { findWayOut, wayOutVariables } from '../ports/reach-out.ts';
import type { ServerRuntime } from '../ports/server-runtime.ts';
import { type CageBind, cagePlaces, cageProxyPort } from './cage-arguments.ts';
import { findCovers, type PathPrivacy } from './find-covers.ts';
import { spawnCaged } from './spawn-caged.ts';

const maximumCovers = 2_000;

/** Host paths, real ones. */
export type BubblewrapRuntimeConfig = {
  nodePath: string;
  packageRoot: string;
  privacy: PathPrivacy;
  /** Where the egress process keeps the ways out of servers. */
  egressDirectory?: string | undefined;
};

/** Before the server itself comes what offers it the proxy; small, as it only carries bytes. */
const forwarder = [
  ...[cagePlaces.node, '--max-old-space-size=32', '--max-semi-space-size=1', cagePlaces.forwarder],
  ...[`${cageProxyPort}`, posix.join(cagePlaces.wayOut, folderFiles.socket)],
];

/** Resolves links of the host side before the mount, so that what was checked is what is mounted. */
const realFolder = async (path: string, at: string): Promise<string> => {
  const real = await realpath(path).catch((cause: unknown) => {
    throw new PlatformError('input_invalid', `There is no folder ${path} on the host for ${at}.`, { cause });
  });
  if (!(await stat(real)).isDirectory()) throw new PlatformError('input_invalid', `${path} on the host, for ${at}, is not a folder.`);
  return real;
};

const describeCage = async (launch: ServerLaunch, privacy: PathPrivacy) => {
  const binds: CageBind[] = [];
  const covers = [];
  for (const { hostPath, at, mode, hide } of launch.volumes) {
    const source = await realFolder(hostPath, at);
    binds.push({ source, at, mode });
    covers.push(...(await findCovers({ source, at, hide, privacy })));
  }
  for (const { source: path, at, mode } of launch.mounts) {
    const source = await realFolder(path, at);
    binds.push({ source, at, mode });
    covers.push(...(await findCovers({ source, at, hide: [], privacy })));
  }
  if (covers.length > maximumCovers)
    throw new PlatformError('input_invalid', `The volumes of ${launch.id} hold more than ${maximumCovers} entries to hide.`);
  return { binds, covers };
};

/** Runs servers in cages; whether cages hold on this machine is for the caller to have probed. Isolation tier 1. */
export const createBubblewrapRuntime = ({ nodePath, packageRoot, privacy, egressDirectory }: BubblewrapRuntimeConfig): ServerRuntime => ({
  start: async (launch) => {
    const { binds, covers } = await describeCage(launch, privacy);
    const wayOut = await findWayOut(launch, egressDirectory);
    const proxyUrl = `http://127.0.0.1:${cageProxyPort}`;
    const variables = wayOut && { ...wayOut.placeholders, ...wayOutVariables({ proxyUrl, folder: cagePlaces.wayOut }) };
    const shared = { nodePath, env: { ...launch.env, ...variables }, binds, covers, ...(wayOut && { wayOut: wayOut.folder }) };
    const before = wayOut ? forwarder : [];
    const processes = launch.limits?.processes;
    if (launch.program.kind === 'command') {
      const server = await spawnCaged({ plan: shared, command: [...before, ...launch.program.command, ...launch.args], processes });
      return { ...server, isolation: 1 };
    }
    const { nodeModules, script } = await findNpmProgram(launch.program, packageRoot);
    const command = [...before, cagePlaces.node, ...nodeFlags(launch), posix.join(cagePlaces.nodeModules, script), ...launch.args];
    return { ...(await spawnCaged({ plan: { ...shared, nodeModules }, command, processes })), isolation: 1 };
  },
});
