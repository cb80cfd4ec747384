import { createHash } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { RunVolume } from '../../schema/run.ts';
import type { ServerLaunchInput } from '../../schema/server-launch.ts';
import { canonicalJson } from '../../store/resources.ts';

/** The run whose folders a server mounts. */
export type RunOfServer = { runId: string; volumes: RunVolume[]; fleet?: string };

/** Whether one process serves one run: because the resource says so, or because it mounts folders of a run. */
export const isPerRun = ({ spec }: StoredResource<'McpServer'>): boolean =>
  !('url' in spec) && (spec.instance === 'run' || spec.volumes.length > 0);

/** Whether one process serves one client's session: it hears what that client can do, and may ask it things. */
export const isPerSession = ({ spec }: StoredResource<'McpServer'>): boolean => !('url' in spec) && spec.instance === 'session';

/** Whether what serves one caller may serve any other: no process of the server belongs to one run or session. */
export const isForAll = (server: StoredResource<'McpServer'>): boolean => !isPerRun(server) && !isPerSession(server);

/**
 * What the host is told to run for a server of ours.
 * @param session - names whom the process serves alone; it shows in process lists, so it is no secret
 * @throws {PlatformError} `input_invalid` when the run lacks a folder that the server mounts, or may not write where it would
 */
export const launchOf = (server: StoredResource<'McpServer'>, run: RunOfServer | undefined, session?: string): ServerLaunchInput => {
  const { spec, metadata } = server;
  if ('url' in spec) throw new TypeError('a remote server is not launched');
  const serverId = `${metadata.org}/${metadata.project}/${metadata.name}`;
  const volumes = spec.volumes.map(({ name, at, mode, hide }) => {
    const volume = run?.volumes.find((candidate) => candidate.name === name);
    if (!volume)
      throw new PlatformError(
        'input_invalid',
        `The server ${metadata.name} mounts the volume \`${name}\` of a run, and ${run ? `the run has none; give the fleet an input or output with \`volume: ${name}\`` : 'the call comes from no run'}.`,
      );
    if (mode === 'rw' && volume.mode === 'ro')
      throw new PlatformError('input_invalid', `The server ${metadata.name} wants to write to the volume \`${name}\`, which is an input.`);
    return { hostPath: volume.hostPath, at, mode, hide };
  });
  const launch = {
    id: [serverId, ...(run ? [run.runId] : []), ...(session ? [session] : [])].join('/'),
    instance: session ? ('session' as const) : ('shared' as const),
    program:
      'package' in spec
        ? {
            kind: 'npm' as const,
            package: spec.package.npm,
            ...(spec.package.version ? { version: spec.package.version } : {}),
            ...(spec.package.bin ? { bin: spec.package.bin } : {}),
          }
        : { kind: 'command' as const, command: spec.command },
    args: spec.args,
    env: spec.env,
    // where to, and the values of secrets, the egress process knows alone: a change there restarts nothing
    ...(spec.egress?.length ? { egress: { secrets: Object.keys(spec.secrets ?? {}).sort() } } : {}),
    volumes,
    mounts: spec.mounts,
    limits: { memoryMb: spec.memoryMb },
  };
  return { ...launch, digest: createHash('sha256').update(canonicalJson(launch)).digest('hex') };
};
