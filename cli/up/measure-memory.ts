import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

type Entry = { pid: number; parent: number; bytes: () => number };

/** Shared pages are counted in shares (proc_pid_smaps_rollup); where that may not be read, resident pages are. */
const linuxBytes = (pid: number): number => {
  for (const [file, pattern] of [
    ['smaps_rollup', /^Pss:\s+(\d+) kB/m],
    ['status', /^VmRSS:\s+(\d+) kB/m],
  ] as const)
    try {
      const found = pattern.exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'));
      if (found) return Number(found[1]) * 1024;
    } catch {
      // somebody else's, or gone
    }
  return 0;
};

const readLinux = (): Entry[] =>
  readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      return [{ pid: Number(name), parent, bytes: () => linuxBytes(Number(name)) }];
    } catch {
      return [];
    }
  });

const readElsewhere = (): Entry[] =>
  execFileSync('ps', ['-axo', 'pid=,ppid=,rss='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([pid = 0, parent = 0, kilobytes = 0]) => ({ pid, parent, bytes: () => kilobytes * 1024 }));

/**
 * Measures the memory of processes, each with all that it started.
 * @param roots - process ids; what one of them started that is a root itself is counted there
 * @returns bytes by process id
 */
export const measureMemory = (roots: readonly number[]): Map<number, number> => {
  const entries = process.platform === 'linux' ? readLinux() : readElsewhere();
  const children = Map.groupBy(entries, ({ parent }) => parent);
  const own = new Map(entries.map((entry) => [entry.pid, entry]));
  const sum = (pid: number): number =>
    (own.get(pid)?.bytes() ?? 0) +
    (children.get(pid) ?? []).reduce((total, child) => total + (roots.includes(child.pid) ? 0 : sum(child.pid)), 0);
  return new Map(roots.map((pid) => [pid, sum(pid)]));
};
