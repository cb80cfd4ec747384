import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { createBareRuntime } from '../bare/bare-runtime.ts';
import { createBubblewrapRuntime } from '../bubblewrap/bubblewrap-runtime.ts';
import { type CageProof, probeCage } from '../bubblewrap/probe-cage.ts';
import type { ServerRuntime } from '../ports/server-runtime.ts';
import type { HostConfig } from './host-config.ts';

/** Says how servers run on this machine. @throws {PlatformError} `isolation_unavailable` when they cannot be caged and must be */
export type RuntimeChooser = () => Promise<ServerRuntime>;

const realOrGiven = (path: string): Promise<string> => realpath(path).catch(() => resolve(path));

/**
 * Cages where a probe has proved that they hold; a bare process where it has not and the operator allowed that; else nothing runs.
 * A proof is kept; a failure is probed again at the next start, since bubblewrap may have been installed meanwhile.
 * @param probe - replaceable, so that a machine without cages can be played
 */
export const createRuntimeChooser = (
  config: HostConfig,
  logger: Logger,
  probe: (nodePath: string) => Promise<CageProof> = probeCage,
): RuntimeChooser => {
  let proved: Promise<ServerRuntime> | undefined;

  const choose = async (): Promise<ServerRuntime> => {
    const { packageRoot } = config;
    const nodePath = await realpath(config.nodePath);
    const egressDirectory = config.egressDirectory && (await realOrGiven(config.egressDirectory));
    const proof = await probe(nodePath).catch((error: unknown): CageProof => {
      if (isPlatformError(error)) return { ok: false, reason: error.detail };
      throw error;
    });
    if (proof.ok) {
      const privatePaths = await Promise.all([config.logDirectory, ...(config.privatePaths ?? [])].map(realOrGiven));
      const openPaths = await Promise.all((config.openPaths ?? []).map(realOrGiven));
      return createBubblewrapRuntime({ nodePath, packageRoot, privacy: { privatePaths, openPaths }, egressDirectory });
    }
    if (!config.allowUncaged) throw new PlatformError('isolation_unavailable', proof.reason);
    logger.warn({ event: 'cage-unavailable', reason: proof.reason }, 'servers run as bare processes');
    return createBareRuntime({ nodePath, packageRoot, egressDirectory });
  };

  return () => {
    proved ??= choose().catch((error: unknown) => {
      proved = undefined;
      throw error;
    });
    return proved;
  };
};
