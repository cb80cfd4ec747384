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

/** The same of a process and its children: Postgres has one for each connection. */
export const processorMicrosOfTree = (pid: number): number | undefined => {
  const own = processorMicrosOf(pid);
  if (own === undefined) return undefined;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)));
  return children.reduce((sum, child) => sum + (child?.parent === pid ? child.micros : 0), own);
};

/** Resident memory of a process in megabytes (10^6 bytes). */
export const residentMegabytes = (pid: number): number =>
  (Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024) / 1e6;
