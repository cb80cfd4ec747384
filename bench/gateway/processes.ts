import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** What a tick of `/proc/PID/stat` is on Linux, whatever the kernel was built with. */
const microsPerTick = 10_000;

const statOf = (pid: number): { parent: number; micros: number } | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // the name of the program is in parentheses and may hold anything
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { parent: Number(fields[1]), micros: (Number(fields[11]) + Number(fields[12])) * microsPerTick };
  } catch {
    return undefined; // no Linux, or it has ended
  }
};

/** Processor time of a process so far, in microseconds; undefined where the system does not tell. */
export const processorMicrosOf = (pid: number): number | undefined => statOf(pid)?.micros;

/** A process and all that it started, and what those started: Postgres has one for each connection. */
export const processTree = (pid: number): number[] => {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const parent = /^\d+$/.test(name) ? statOf(Number(name))?.parent : undefined;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [pid];
  for (const each of tree) tree.push(...(children.get(each) ?? []));
  return tree;
};

/** Processor time of a process and all that it started, so far; what has ended is not in it. */
export const processorMicrosOfTree = (pid: number): number | undefined => {
  if (processorMicrosOf(pid) === undefined) return undefined;
  return processTree(pid).reduce((sum, each) => sum + (processorMicrosOf(each) ?? 0), 0);
};

/** Resident memory of a process in megabytes (10^6 bytes). */
export const residentMegabytes = (pid: number): number =>
  (Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024) / 1e6;
