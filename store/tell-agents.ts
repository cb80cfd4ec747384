import { and, eq, isNotNull, isNull, lt, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { agents, approvals, runs } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** A workflow that waits for people, and the approval it waits for. */
export type WaitingAgent = Tenancy & { id: string; agent: string };

/** Agents whose approval was decided before an instant, and whose workflow was not told yet. Of all tenants. */
export const listUntoldAgents = (database: Database, before: Date): Promise<WaitingAgent[]> =>
  guarded(async () => {
    const { org, project, id, agent } = approvals;
    const rows = await database
      .select({ org, project, id, agent })
      .from(approvals)
      .where(and(isNull(approvals.toldAt), isNotNull(agent), isNotNull(approvals.decidedAt), lt(approvals.decidedAt, before)))
      .limit(500);
    return rows.flatMap((row) => (row.agent === null ? [] : [{ ...row, agent: row.agent }]));
  });

/** Agents that wait until people lift what is halted, by all that it may be. Of all tenants. */
export const listHaltedAgents = (
  database: Database,
): Promise<(Tenancy & Record<'agent' | 'role' | 'run' | 'fleet' | 'person', string>)[]> =>
  guarded(async () =>
    database
      .select({
        org: agents.org,
        project: agents.project,
        agent: agents.id,
        role: agents.role,
        run: agents.runId,
        fleet: runs.fleet,
        person: runs.startedBy,
      })
      .from(agents)
      .innerJoin(runs, and(eq(runs.org, agents.org), eq(runs.project, agents.project), eq(runs.id, agents.runId)))
      .where(and(eq(agents.state, 'running'), isNotNull(agents.waitingSince), isNull(agents.approvalId)))
      .limit(500),
  );

/** Puts down that Temporal took the signal, or that no workflow waits any more. */
export const markTold = (database: Database, id: string): Promise<void> =>
  guarded(async () => {
    await database.update(approvals).set({ toldAt: sql`now()` }).where(eq(approvals.id, id));
  });
