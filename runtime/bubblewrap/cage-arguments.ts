import { fileURLToPath } from 'node:url';

/** Fixed places inside every cage. */
export const cagePlaces = {
  node: '/opt/node/bin/node',
  nodeModules: '/opt/server/node_modules',
  scratch: '/scratch',
  forwarder: '/opt/node/forward-in-cage.mjs',
  wayOut: '/opt/egress',
} as const;

/** Where the proxy stands on a cage's own loopback. */
export const cageProxyPort = 3128;

/** File descriptors that `bwrap` reads: its own arguments, and the system call filter. */
export const cageDescriptors = { args: 3, seccomp: 4 } as const;

const forwarderPath = fileURLToPath(new URL('./forward-in-cage.mjs', import.meta.url));
const scratchBytes = 64 * 1024 * 1024;
const sharedMemoryBytes = 16 * 1024 * 1024;

/** A folder or file of the host, by its real path, and where it stands inside. */
export type CageBind = { source: string; at: string; mode: 'ro' | 'rw' };

/** Everything a cage is made of. `covers` are places inside a bind that must look empty. */
export type CagePlan = {
  /** Real path of the Node binary. */
  nodePath: string;
  /** Real path of the `node_modules` folder; only where an npm server runs. */
  nodeModules?: string;
  env: Readonly<Record<string, string>>;
  binds: readonly CageBind[];
  /** Host folder with the socket of the server's proxy; without it the cage has no way out. */
  wayOut?: string;
  covers: readonly { at: string; kind: 'folder' | 'file' }[];
};

const bind = ({ source, at, mode }: CageBind): string[] => [mode === 'rw' ? '--bind' : '--ro-bind', source, at];

/**
 * The arguments that make a cage with bubblewrap: the one list, used for real servers and for the probe that proves it.
 *
 * Inside: own user, process, network (none but loopback; the one way out, where there is one, is the socket of the server's proxy), IPC, host-name and cgroup namespaces, no capability, no new privileges, the system call
 * filter, a clean environment, `/usr` and the server's code read-only, 64 MiB of scratch space at `/scratch` (also `/tmp` and home), and the binds.
 * The root, `/dev` and `/proc` are read-only besides: a host that runs as root is root in the eyes of `/proc/sys` even without any capability,
 * and a write to `core_pattern` there would run a program outside of the cage; the root's and `/dev`'s own tmpfs have no size limit.
 *
 * Not enforced here: total memory, processor time, disk space of a writable bind, and names created in a bind after the start.
 * @returns arguments for `bwrap`, to be given by `--args FD` joined with NUL: they hold values that must not be seen in a process list
 */
export const cageArguments = ({ nodePath, nodeModules, env, binds, wayOut, covers }: CagePlan): string[] => [
  ...['--unshare-all', '--unshare-user', '--unshare-cgroup', '--disable-userns', '--assert-userns-disabled'],
  ...['--die-with-parent', '--new-session', '--hostname', 'cage', '--cap-drop', 'ALL', '--clearenv'],
  ...['--setenv', 'PATH', '/opt/node/bin:/usr/bin', '--setenv', 'HOME', cagePlaces.scratch, '--setenv', 'TMPDIR', cagePlaces.scratch],
  ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
  ...['--ro-bind', '/usr', '/usr', '--symlink', 'usr/bin', '/bin', '--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64'],
  ...['--proc', '/proc', '--dev', '/dev', '--size', `${sharedMemoryBytes}`, '--tmpfs', '/dev/shm'],
  ...['--size', `${scratchBytes}`, '--tmpfs', cagePlaces.scratch, '--symlink', 'scratch', '/tmp', '--chdir', cagePlaces.scratch],
  ...bind({ source: nodePath, at: cagePlaces.node, mode: 'ro' }),
  ...(nodeModules === undefined ? [] : bind({ source: nodeModules, at: cagePlaces.nodeModules, mode: 'ro' })),
  ...(wayOut === undefined ? [] : bind({ source: forwarderPath, at: cagePlaces.forwarder, mode: 'ro' })),
  ...(wayOut === undefined ? [] : bind({ source: wayOut, at: cagePlaces.wayOut, mode: 'ro' })),
  ...binds.flatMap(bind),
  ...covers.flatMap(({ at, kind }) => (kind === 'folder' ? ['--tmpfs', at, '--remount-ro', at] : ['--ro-bind', '/dev/null', at])),
  ...['--remount-ro', '/proc', '--remount-ro', '/dev', '--remount-ro', '/'],
  ...['--seccomp', `${cageDescriptors.seccomp}`],
];
