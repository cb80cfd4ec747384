import { and, eq, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { Removed, RetainedKind } from '../schema/retention.ts';
import { retentionProgress } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';

/** Of the one transaction in an installation that removes something. */
const lockKey = '7420000000000028';

/** Whether this transaction is the one that removes; another one may still be under way after its controller lost the lead. */
export const isAloneInRetention = async (within: Executor): Promise<boolean> => {
  const { rows } = await within.execute<{ alone: boolean }>(sql`select pg_try_advisory_xact_lock(${lockKey}::bigint) as alone`);
  return rows[0]?.alone ?? false;
};

/** Puts down that rows went: in the transaction in which they go. */
export const noteRemoved = async (
  within: Executor,
  { org, project }: Tenancy,
  what: RetainedKind,
  { before, at, rows }: { before: Date; at: Date; rows: number },
): Promise<void> => {
  await within
    .insert(retentionProgress)
    .values({ org, project, what, removedBefore: before, lastAt: at, rows })
    .onConflictDoUpdate({
      target: [retentionProgress.org, retentionProgress.project, retentionProgress.what],
      set: {
        removedBefore: sql`greatest(${retentionProgress.removedBefore}, excluded.removed_before)`,
        lastAt: sql`excluded.last_at`,
        rows: sql`${retentionProgress.rows} + excluded.rows`,
      },
    });
};

/** How far the retention of a project has come with one kind of things; undefined where it never removed any. */
export const findRemoved = (database: Executor, { org, project }: Tenancy, what: RetainedKind): Promise<Removed | undefined> =>
  guarded(async () => {
    const [row] = await database
      .select()
      .from(retentionProgress)
      .where(and(eq(retentionProgress.org, org), eq(retentionProgress.project, project), eq(retentionProgress.what, what)));
    return row && { before: row.removedBefore.toISOString(), lastAt: row.lastAt.toISOString(), rows: row.rows };
  });
