import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

const listening = '0A';

/** Inodes of the sockets that listen on a port (proc_pid_net(5): local address, state, inode are columns 1, 3 and 9). */
const socketsListeningOn = (port: number): Set<string> => {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6'])
    try {
      for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
        const columns = line.trim().split(/\s+/);
        if (columns[1]?.endsWith(suffix) && columns[3] === listening && columns[9]) inodes.add(`socket:[${columns[9]}]`);
      }
    } catch {
      // not Linux, or no such table
    }
  return inodes;
};

const holdsOneOf = (pid: string, sockets: ReadonlySet<string>): boolean => {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((descriptor) => {
      try {
        return sockets.has(readlinkSync(`/proc/${pid}/fd/${descriptor}`));
      } catch {
        return false; // closed meanwhile
      }
    });
  } catch {
    return false; // somebody else's process, or gone
  }
};

/** Finds who listens on a port, by the program's name alone: arguments may hold secrets. Undefined where it cannot be known. */
export const findPortHolder = (port: number): { pid: number; name: string } | undefined => {
  const sockets = socketsListeningOn(port);
  if (sockets.size === 0) return undefined;
  const pid = readdirSync('/proc').find((entry) => /^\d+$/.test(entry) && holdsOneOf(entry, sockets));
  if (pid === undefined) return undefined;
  try {
    return { pid: Number(pid), name: basename(readlinkSync(`/proc/${pid}/exe`)) };
  } catch {
    return undefined;
  }
};
