import type { ChildProcess } from 'node:child_process';
import type { MeasuredMetric } from '../processes/messages.ts';
import { type Clock, countFailure, pauseAfter } from './backoff.ts';
import { cannotStart } from './cannot-start.ts';
import type { LastWill } from './last-will.ts';
import type { Life, Part, PartReport } from './part.ts';

export type Supervised = {
  /** Resolves when it serves for the first time; rejects when it does not come to that. */
  ready: Promise<void>;
  report(): PartReport;
  /** What the process of the moment measures; nothing where there is none. */
  measure(): Promise<MeasuredMetric[]>;
  /** Asks the process of the moment to end, so that another is started; nothing where there is none. */
  restart(): void;
  /** Asks it to end, and makes it when it does not in time. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
};

const describeComplaint = (complaint: unknown): string => `does not start: ${(complaint as Error).message.replace(/\.$/, '')}`;

/** How often a process may end before it has ever served: a Postgres that takes over after a crash may need more than one try. */
const triesBeforeServing = 4;

const howItEnded = (child: ChildProcess): string =>
  child.signalCode ? `was ended by ${child.signalCode}` : `ended with code ${child.exitCode ?? 'unknown'}`;

/**
 * Starts a process, and starts it again whenever it ends, after a pause that grows with failures in a row.
 * @param dependencies.onChange - called after each change of what `report` says
 * @param dependencies.onLine - one line for people when it ended and when it is back
 * @param dependencies.lastWords - last line of its log, to say why it does not start
 */
export const supervise = (
  part: Part,
  {
    clock,
    lastWill,
    onChange,
    onLine,
    lastWords,
  }: { clock: Clock; lastWill: LastWill; onChange(): void; onLine(text: string): void; lastWords(): string | undefined },
): Supervised => {
  const stopping = new AbortController();
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => undefined); // whoever waits for it gets it; nobody has to
  let current: PartReport = { name: part.name, state: 'starting', restarts: 0, ...(part.port === undefined ? {} : { port: part.port }) };
  let life: (Pick<Life, 'child' | 'measure'> & { exited: Promise<void> }) | undefined;

  const change = (next: Partial<PartReport>): void => {
    current = { ...current, ...next };
    onChange();
  };

  const liveOnce = async (isRestart: boolean): Promise<{ served: boolean; complaint?: unknown; end: string }> => {
    let launched: Life;
    try {
      launched = part.launch();
    } catch (error) {
      return { served: false, complaint: error, end: describeComplaint(error) };
    }
    const { child, ready, measure } = launched;
    const exited = Promise.withResolvers<void>();
    let complaint: unknown;
    child.once('error', (error) => {
      complaint = error;
      if (child.pid === undefined) exited.resolve();
    });
    child.once('exit', () => exited.resolve());
    life = { child, exited: exited.promise, ...(measure ? { measure } : {}) };
    if (child.pid !== undefined) lastWill.include(child.pid, part.stopSignal === 'SIGINT' ? 'INT' : 'TERM');
    change({ state: 'starting', pid: child.pid, startedAt: new Date().toISOString() });
    let served = false;
    const serving = ready.then(
      () => {
        if (stopping.signal.aborted || child.exitCode !== null || child.signalCode !== null) return;
        served = true;
        change({ state: 'running' });
        if (isRestart) onLine(`${part.name} runs again`);
        first.resolve();
      },
      (error: unknown) => {
        complaint ??= error;
        if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL'); // alive, but it will not serve
      },
    );
    await exited.promise;
    if (child.connected) await new Promise((resolve) => child.once('disconnect', resolve)); // its last message may come after its end
    await Promise.race([serving, new Promise((resolve) => setImmediate(resolve))]);
    if (child.pid !== undefined) {
      killGroup(child.pid); // what it started and left behind
      lastWill.exclude(child.pid);
    }
    return { served, complaint, end: complaint === undefined ? howItEnded(child) : describeComplaint(complaint) };
  };

  const liveOn = async (): Promise<void> => {
    let failures = 0;
    let hasServed = false;
    for (;;) {
      const startedAt = clock.now();
      const { served, complaint, end } = await liveOnce(hasServed);
      hasServed ||= served;
      if (stopping.signal.aborted) return change({ state: 'stopped', pid: undefined });
      failures = countFailure(failures, clock.now() - startedAt);
      if (!hasServed && (complaint !== undefined || failures >= triesBeforeServing)) {
        const reason = complaint === undefined ? `does not start: ${lastWords() ?? end}` : end;
        first.reject(cannotStart(`${part.name} ${reason}.`, complaint));
        return change({ state: 'stopped', pid: undefined });
      }
      const pauseMs = pauseAfter(failures);
      if (hasServed) onLine(`${part.name} ${end}; it is started again in ${pauseMs / 1000} s`);
      change({ state: 'waiting', pid: undefined, restarts: current.restarts + (hasServed ? 1 : 0) });
      await clock.wait(pauseMs, stopping.signal);
      if (stopping.signal.aborted) return change({ state: 'stopped' });
    }
  };
  const ended = liveOn().catch((error: unknown) => {
    first.reject(error);
    change({ state: 'stopped', pid: undefined });
  });

  return {
    ready: first.promise,
    report: () => current,
    measure: async () => (current.state === 'running' ? ((await life?.measure?.()) ?? []) : []),
    restart: () => {
      const ending = life;
      if (!ending || current.state !== 'running') return;
      ending.child.kill(part.stopSignal);
      const force = setTimeout(() => ending.child.pid !== undefined && killGroup(ending.child.pid), part.stopGraceMs);
      force.unref();
      void ending.exited.then(() => clearTimeout(force));
    },
    stop: async () => {
      stopping.abort();
      first.reject(cannotStart(`${part.name} was stopped before it served.`));
      if (life && current.pid !== undefined) {
        change({ state: 'stopping' });
        life.child.kill(part.stopSignal);
        const force = setTimeout(() => current.pid && killGroup(current.pid), part.stopGraceMs);
        await life.exited;
        clearTimeout(force);
      }
      await ended;
    },
    kill: () => {
      stopping.abort();
      if (current.pid !== undefined) killGroup(current.pid);
    },
  };
};

/** Each process leads a group (it is started detached), so that what it started itself ends with it. */
const killGroup = (pid: number): void => {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // nothing is left of it
  }
};
