import { and, eq, inArray, lt, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { agents, runs } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** Ends the runs in which a target was seen or changed and that began before `before`: their agents get no token any more. */
export const endTargetRuns = (
  database: Database,
  { org, project, fleet, stage, before }: Tenancy & { fleet: string; stage: string; before: Date },
): Promise<void> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const ended = await transaction
        .update(agents)
        .set({ state: 'done', updatedAt: sql`now()`, endedAt: sql`now()` })
        .where(
          and(
            eq(agents.org, org),
            eq(agents.project, project),
            eq(agents.stage, stage),
            sql`starts_with(${agents.id}, ${`${org}/${project}/${fleet}/`})`,
            eq(agents.state, 'running'),
            lt(agents.createdAt, before),
          ),
        )
        .returning({ runId: agents.runId });
      if (ended.length === 0) return;
      await transaction
        .update(runs)
        .set({ state: 'succeeded', updatedAt: sql`now()`, endedAt: sql`now()` })
        .where(
          and(
            eq(runs.org, org),
            eq(runs.project, project),
            inArray(
              runs.id,
              ended.map(({ runId }) => runId),
            ),
            eq(runs.state, 'running'),
          ),
        );
    }),
  );
