import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A process that is meant, and not another one that got its number later. */
export type ProcessIdentity = { pid: number; startedAs: string };

/** State and start (in ticks since boot) from `/proc/PID/stat`; the name in brackets may hold anything. */
const readLinuxStat = (pid: number): { state: string; ticks: string } | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', ticks: fields[19] ?? '' };
  } catch {
    return undefined;
  }
};

/** Ticks start anew with the machine, so a boot is part of a start. */
const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8);

/** Says when a process started, in a form to compare; undefined where none runs under that number (a zombie does not run). */
export const startOf = (pid: number): string | undefined => {
  if (process.platform === 'linux') {
    const stat = readLinuxStat(pid);
    return stat && stat.state !== 'Z' && stat.state !== 'X' ? `${bootId()}-${stat.ticks}` : undefined;
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
};

/** @throws when no such process runs */
export const identify = (pid: number): ProcessIdentity => {
  const startedAs = startOf(pid);
  if (startedAs === undefined) throw new Error(`process ${pid} does not run`);
  return { pid, startedAs };
};

export const isRunning = ({ pid, startedAs }: ProcessIdentity): boolean => startOf(pid) === startedAs;

/** Signals a process if it is still the one that is meant; with `group`, all of the group it leads. */
export const signalProcess = (identity: ProcessIdentity, signal: NodeJS.Signals, { group = false } = {}): void => {
  if (!isRunning(identity)) return;
  try {
    process.kill(group ? -identity.pid : identity.pid, signal);
  } catch {
    // it ended in this moment
  }
};
