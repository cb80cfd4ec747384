import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { PlatformError } from '../../schema/errors.ts';
import { runChild } from '../ports/run-child.ts';
import type { RunningServer } from '../ports/server-runtime.ts';
import { type CagePlan, cageArguments, cageDescriptors } from './cage-arguments.ts';
import { buildSeccompFilter } from './seccomp-filter.ts';
import { seccompArchitectures } from './syscall-numbers.ts';

const prlimitPath = '/usr/bin/prlimit';
const bubblewrapPaths = ['/usr/bin/bwrap', '/bin/bwrap', '/usr/local/bin/bwrap'];

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

const findBubblewrap = async (): Promise<string> => {
  for (const path of bubblewrapPaths) if (await isExecutable(path)) return path;
  throw new PlatformError('isolation_unavailable', 'bubblewrap is not installed; on Debian: apt-get install bubblewrap.');
};

/** A cage, the command to run in it, and the highest number of its processes and threads if there is one. */
export type CagedCommand = { plan: CagePlan; command: string[]; processes?: number };

/**
 * Starts a command in a cage; it dies with this process, however this process ends.
 * Limits on the way: 1,024 open files, no core dump; the number of processes only where the host does not run as root (the kernel exempts root).
 * Memory and processor time have none: a limit on address space breaks V8, and a control group is not ours to make.
 * The argument list of the cage goes through a pipe, so nothing of the environment is seen in a process list.
 * @throws {PlatformError} `isolation_unavailable` when bubblewrap or a filter for this processor is missing
 */
export const spawnCaged = async ({ plan, command, processes }: CagedCommand): Promise<Omit<RunningServer, 'isolation' | 'translation'>> => {
  const architecture = seccompArchitectures[process.arch];
  if (architecture === undefined || process.platform !== 'linux')
    throw new PlatformError(
      'isolation_unavailable',
      `There is no cage for ${process.platform} on ${process.arch}; --allow-uncaged runs servers bare.`,
    );
  const bubblewrap = await findBubblewrap();
  const hasLimits = await isExecutable(prlimitPath);
  const outer = hasLimits ? [prlimitPath, '--nofile=1024:1024', '--core=0:0'] : [];
  const inner = hasLimits && processes !== undefined && process.getuid?.() !== 0 ? [prlimitPath, `--nproc=${processes}:${processes}`] : [];
  const [first = bubblewrap, ...rest] = [...outer, bubblewrap, '--args', `${cageDescriptors.args}`, '--', ...inner, ...command];
  return runChild({
    command: first,
    args: rest,
    env: {},
    cwd: '/',
    extraInputs: [Buffer.from(cageArguments(plan).join('\0')), buildSeccompFilter(architecture)],
  });
};
