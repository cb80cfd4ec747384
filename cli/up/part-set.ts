import type { MeasuredMetric } from '../processes/messages.ts';
import type { Clock } from './backoff.ts';
import type { DataFolder } from './data-folder.ts';
import { makeLastWill } from './last-will.ts';
import { lastLineOf, logFileOf } from './log-file.ts';
import type { Part, PartReport } from './part.ts';
import { stopOrder } from './platform-parts.ts';
import { identify, startOf } from './process-identity.ts';
import type { Profile } from './seed.ts';
import { type Supervised, supervise } from './supervise.ts';
import { type ProcessRecord, writeSupervisorFile } from './supervisor-file.ts';

/** The processes of one platform. Who they are is written down at each change, for `status` and for a start after a crash. */
export type PartSet = {
  /** Keeps a part alive from now on. Resolves when it serves; rejects when it does not come to that, or with the reason of `signal`. */
  start(part: Part, signal?: AbortSignal): Promise<void>;
  /** Has the process of a part ended and another started. */
  restart(name: string): void;
  report(): PartReport[];
  /** What each process of ours measures. */
  measure(): Promise<MeasuredMetric[][]>;
  /** Stops all, callers before those they call. */
  stop(): Promise<void>;
  /** Ends all at once. */
  kill(): void;
};

const orAborted = (work: Promise<void>, signal: AbortSignal | undefined): Promise<void> => {
  if (!signal) return work;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  return Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener('abort', abort));
};

export const createPartSet = ({
  folder,
  port,
  profile,
  clock,
  onLine,
}: {
  folder: Pick<DataFolder, 'logs' | 'supervisorFile'>;
  port: number;
  profile: Profile;
  clock: Clock;
  onLine(text: string): void;
}): PartSet => {
  const lastWill = makeLastWill();
  const me = { ...identify(process.pid), startedAt: new Date().toISOString(), port, profile };
  const started = new Map<string, { part: Part; supervised: Supervised }>();
  const starts = new Map<number, string | undefined>();
  let isOver = false;

  const recordOf = ({ part, supervised }: { part: Part; supervised: Supervised }): ProcessRecord => {
    const { pid, ...report } = supervised.report();
    if (pid === undefined) return { ...report, stopSignal: part.stopSignal };
    if (!starts.has(pid)) starts.set(pid, startOf(pid));
    const startedAs = starts.get(pid);
    return { ...report, pid, ...(startedAs === undefined ? {} : { startedAs }), stopSignal: part.stopSignal };
  };
  const write = (): void => {
    if (isOver) return;
    try {
      writeSupervisorFile(folder.supervisorFile, { ...me, processes: [...started.values()].map(recordOf) });
    } catch {
      // a full disk must not end what runs; the next change writes it
    }
  };

  const stopNamed = async (names: readonly string[]): Promise<void> => {
    await Promise.all(names.map((name) => started.get(name)?.supervised.stop()));
  };

  return {
    start: (part, signal) => {
      const supervised = supervise(part, {
        clock,
        lastWill,
        onChange: () => queueMicrotask(write),
        onLine,
        lastWords: () => lastLineOf(logFileOf(folder.logs, part.name)),
      });
      started.set(part.name, { part, supervised });
      write();
      return orAborted(supervised.ready, signal);
    },
    restart: (name) => started.get(name)?.supervised.restart(),
    report: () => [...started.values()].map(({ supervised }) => supervised.report()),
    measure: () => Promise.all([...started.values()].map(({ supervised }) => supervised.measure())),
    stop: async () => {
      for (const names of stopOrder) await stopNamed(names);
      isOver = true;
      lastWill.revoke();
    },
    kill: () => {
      for (const { supervised } of started.values()) supervised.kill();
    },
  };
};
