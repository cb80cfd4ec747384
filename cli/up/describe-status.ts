import { dataFolderAt } from './data-folder.ts';
import { findPlatform } from './find-platform.ts';
import { measureMemory } from './measure-memory.ts';
import { isRunning } from './process-identity.ts';
import type { SupervisorRecord } from './supervisor-file.ts';

export type ProcessStatus = {
  name: string;
  state: string;
  pid: number | null;
  port: number | null;
  restarts: number;
  /** Seconds since its last start. */
  uptimeSeconds: number | null;
  /** With everything that it started. */
  memoryBytes: number | null;
};

export type PlatformStatus = {
  running: boolean;
  profile: string | null;
  dataDirectory: string;
  /** One log a process, and a folder with those of MCP servers. */
  logDirectory: string;
  processes: ProcessStatus[];
  memoryBytes: number;
};

const since = (startedAt: string | undefined, now: Date): number | null =>
  startedAt === undefined ? null : Math.max(0, Math.round((now.getTime() - Date.parse(startedAt)) / 1000));

const rowsOf = (record: SupervisorRecord): (SupervisorRecord['processes'][number] & { startedAs?: string | undefined })[] => [
  {
    name: 'supervisor',
    state: 'running',
    pid: record.pid,
    startedAs: record.startedAs,
    startedAt: record.startedAt,
    restarts: 0,
    stopSignal: 'SIGTERM',
  },
  ...record.processes,
];

/** Says how the platform on a data folder is, by looking at its processes: what was written down may be older than a crash. */
export const describeStatus = (dataDirectory: string, now: Date): PlatformStatus => {
  const record = findPlatform(dataDirectory);
  const folder = dataFolderAt(dataDirectory);
  const place = { dataDirectory: folder.root, logDirectory: folder.logs };
  if (!record) return { running: false, profile: null, ...place, processes: [], memoryBytes: 0 };
  const rows = rowsOf(record).map((row) => {
    const isAlive = row.pid !== undefined && row.startedAs !== undefined && isRunning({ pid: row.pid, startedAs: row.startedAs });
    return { ...row, pid: isAlive ? (row.pid ?? null) : null, state: row.pid === undefined || isAlive ? row.state : 'ended' };
  });
  const memory = measureMemory(rows.flatMap(({ pid }) => (pid === null ? [] : [pid])));
  const processes = rows.map(({ name, state, pid, port, restarts, startedAt }) => ({
    name,
    state,
    pid,
    port: port ?? null,
    restarts,
    uptimeSeconds: pid === null ? null : since(startedAt, now),
    memoryBytes: pid === null ? null : (memory.get(pid) ?? null),
  }));
  return {
    running: true,
    profile: record.profile,
    ...place,
    processes,
    memoryBytes: [...memory.values()].reduce((sum, bytes) => sum + bytes, 0),
  };
};
