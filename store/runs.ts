import { and, desc, eq, inArray, isNull, lt, notInArray, sql } from 'drizzle-orm';
import { PlatformError } from '../schema/errors.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { AgentRoleSpec } from '../schema/resources/agent-role.ts';
import type { FleetSpec } from '../schema/resources/fleet.ts';
import type { ModelSpec } from '../schema/resources/model.ts';
import { endedRunStates, type RunState, type RunVolume } from '../schema/run.ts';
import { agents, runs } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** The fleet, its roles and their models as they were when the run was launched. */
export type RunSnapshot = { fleet: FleetSpec; roles: Record<string, AgentRoleSpec>; models: Record<string, ModelSpec> };

export type Run = Tenancy & {
  id: string;
  fleet: string;
  snapshot: RunSnapshot;
  inputsDigest: string;
  volumes: RunVolume[];
  outputDirectory: string | null;
  result: string | null;
  quality: 'tiny' | 'standard';
  startedBy: string;
  launchDecisionId: string;
  state: RunState;
  reason: string | null;
  attempt: number;
  createdAt: Date;
  endedAt: Date | null;
  revokedAt: Date | null;
};

export type RunKey = Tenancy & { id: string };

const toRun = (row: typeof runs.$inferSelect): Run => ({
  ...row,
  snapshot: row.snapshot as RunSnapshot,
  state: row.state as RunState,
  quality: row.quality as Run['quality'],
});

const at = ({ org, project, id }: RunKey) => and(eq(runs.org, org), eq(runs.project, project), eq(runs.id, id));

/** Writes the run's row. It comes before the workflow: a start that is lost is found by the sweep. */
export const insertRun = (
  database: Database,
  run: Omit<Run, 'state' | 'reason' | 'attempt' | 'createdAt' | 'endedAt' | 'revokedAt' | 'result'>,
): Promise<void> =>
  guarded(async () => {
    await database.insert(runs).values({ ...run, state: 'starting' });
  });

export const findRun = (database: Database, key: RunKey): Promise<Run | undefined> =>
  guarded(async () => {
    const [row] = await database.select().from(runs).where(at(key));
    return row && toRun(row);
  });

/** @throws {PlatformError} `not_found` */
export const getRun = async (database: Database, key: RunKey): Promise<Run> => {
  const run = await findRun(database, key);
  if (!run)
    throw new PlatformError('not_found', `There is no run ${key.id} in ${key.org}/${key.project}; \`quarterdeck fleet ls\` lists them.`);
  return run;
};

export const listRuns = (database: Database, { org, project }: Tenancy, limit = 100): Promise<Run[]> =>
  guarded(async () => {
    const rows = await database
      .select()
      .from(runs)
      .where(and(eq(runs.org, org), eq(runs.project, project)))
      .orderBy(desc(runs.createdAt))
      .limit(limit);
    return rows.map(toRun);
  });

/** Moves a run from one of the given states to another; false when it was in none of them. */
export const moveRun = (
  database: Database,
  key: RunKey,
  from: readonly RunState[],
  to: RunState,
  reason: string | null = null,
): Promise<boolean> =>
  guarded(async () => {
    const ended = endedRunStates.includes(to);
    const rows = await database
      .update(runs)
      .set({ state: to, reason, updatedAt: sql`now()`, endedAt: ended ? sql`now()` : null })
      .where(and(at(key), inArray(runs.state, [...from])))
      .returning({ id: runs.id });
    return rows.length > 0;
  });

/** Puts down where the run's result lies. */
export const setRunResult = (database: Database, key: RunKey, result: string): Promise<void> =>
  guarded(async () => {
    await database.update(runs).set({ result, updatedAt: sql`now()` }).where(at(key));
  });

/** Takes back the identity of a run's agents, for good. False when somebody did before. */
export const markRunRevoked = (database: Database, key: RunKey): Promise<boolean> =>
  guarded(async () => {
    const rows = await database
      .update(runs)
      .set({ revokedAt: sql`now()`, updatedAt: sql`now()` })
      .where(and(at(key), isNull(runs.revokedAt)))
      .returning({ id: runs.id });
    return rows.length > 0;
  });

/** Reopens an ended run for its parked agents: state `starting`, one more attempt. False when it has not ended, succeeded, or was revoked. */
export const reopenRun = (database: Database, key: RunKey): Promise<boolean> =>
  guarded(async () => {
    const rows = await database
      .update(runs)
      .set({ state: 'starting', reason: null, endedAt: null, attempt: sql`${runs.attempt} + 1`, updatedAt: sql`now()` })
      .where(and(at(key), inArray(runs.state, ['partial', 'failed']), isNull(runs.revokedAt)))
      .returning({ id: runs.id });
    return rows.length > 0;
  });

/** Runs whose start or cancellation may have been lost: not touched since `before`. Of all tenants; for the controller's sweep. */
export const listStaleRuns = (database: Database, before: Date): Promise<Run[]> =>
  guarded(async () => {
    const rows = await database
      .select()
      .from(runs)
      .where(and(inArray(runs.state, ['starting', 'cancelling']), lt(runs.updatedAt, before)))
      .limit(100);
    return rows.map(toRun);
  });

/** Runs that have not ended, of all tenants. */
export const listOpenRuns = (database: Database): Promise<Run[]> =>
  guarded(async () =>
    (
      await database
        .select()
        .from(runs)
        .where(notInArray(runs.state, [...endedRunStates]))
    ).map(toRun),
  );

/** Stops what is left of a run's agents when the run was cancelled. */
export const cancelOpenAgents = (database: Database, key: RunKey): Promise<void> =>
  guarded(async () => {
    await database
      .update(agents)
      .set({ state: 'cancelled', approvalId: null, waitingSince: null, updatedAt: sql`now()`, endedAt: sql`now()` })
      .where(
        and(
          eq(agents.org, key.org),
          eq(agents.project, key.project),
          eq(agents.runId, key.id),
          inArray(agents.state, ['pending', 'running']),
        ),
      );
  });
