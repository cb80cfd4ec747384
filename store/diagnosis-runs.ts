import type { Tenancy } from '../schema/ids.ts';
import { runs } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import type { RunSnapshot } from './runs.ts';

/**
 * Writes the row of a diagnosis's run, or finds it there. It is at work at once: no workflow of a fleet is started for it, so no sweep looks
 * for one.
 */
export const insertDiagnosisRun = (
  database: Database,
  run: Tenancy & {
    id: string;
    fleet: string;
    snapshot: RunSnapshot;
    inputsDigest: string;
    quality: 'tiny' | 'standard';
    startedBy: string;
    launchDecisionId: string;
  },
): Promise<void> =>
  guarded(async () => {
    await database
      .insert(runs)
      .values({ ...run, volumes: [], outputDirectory: null, state: 'running' })
      .onConflictDoNothing();
  });
