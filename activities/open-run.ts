import type { Database } from '../store/database.ts';
import { getRun, moveRun, type RunKey } from '../store/runs.ts';

/**
 * What the fleet's workflow works through. `concurrency` bounds the agents at work in the whole run; `recheckMs` is after how long
 * without a signal the rows are asked. `closed`: the run is being cancelled or has ended, so nothing is begun.
 */
export type OpenedRun = { kind: 'open'; stages: string[]; concurrency: number; recheckMs: number } | { kind: 'closed' };

/** Marks a run as running; from here on its agents are given tokens. */
export const createOpenRun =
  ({ database, recheckMs }: { database: Database; recheckMs: number }) =>
  async (key: RunKey): Promise<OpenedRun> => {
    await moveRun(database, key, ['starting'], 'running');
    const { state, snapshot } = await getRun(database, key);
    if (state !== 'running') return { kind: 'closed' };
    const { stages, concurrency } = snapshot.fleet;
    return { kind: 'open', stages: stages.map(({ name }) => name), concurrency, recheckMs };
  };
