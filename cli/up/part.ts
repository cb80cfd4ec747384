import type { ChildProcess } from 'node:child_process';
import type { MeasuredMetric } from '../processes/messages.ts';

/** One life of a process. */
export type Life = {
  child: ChildProcess;
  /** Resolves when it serves; rejects with what it says is wrong with it. Not waited for after the process ended. */
  ready: Promise<void>;
  /** What it measures, for Prometheus; absent where the program is not ours. */
  measure?: () => Promise<MeasuredMetric[]>;
};

/** A process that is kept alive. */
export type Part = {
  name: string;
  /** Main port on 127.0.0.1, if it listens. */
  port?: number;
  /** Starts it once more; throws where that is not possible, such as on a full disk. */
  launch(): Life;
  stopSignal: 'SIGTERM' | 'SIGINT';
  /** How long it may take to end when asked. */
  stopGraceMs: number;
};

export type PartState = 'starting' | 'running' | 'waiting' | 'stopping' | 'stopped';

/** What is known about a part at a moment. */
export type PartReport = { name: string; state: PartState; pid?: number; port?: number; restarts: number; startedAt?: string };
