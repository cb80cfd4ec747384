import { and, asc, eq, lte, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { Conflict, Drift } from '../schema/reconcile/drift.ts';
import type { TargetPhase } from '../schema/reconcile/target-state.ts';
import { reconcileTargets } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';

export type TargetKey = Tenancy & { target: string };
/** Where a target is, in its row; instants as ISO 8601. */
export type TargetRow = TargetKey & {
  generation: number;
  phase: TargetPhase;
  message: string;
  drifts: Drift[];
  conflicts: Conflict[];
  fence: number;
  frozen: boolean;
  dueAt: string | null;
  changedAt: string;
};
export type TargetReport = Pick<TargetRow, 'phase' | 'message' | 'drifts' | 'conflicts'> & { dueAt: Date | null };

const at = ({ org, project, target }: TargetKey) =>
  and(eq(reconcileTargets.org, org), eq(reconcileTargets.project, project), eq(reconcileTargets.target, target));

const toRow = ({ dueAt, changedAt, ...row }: typeof reconcileTargets.$inferSelect): TargetRow => ({
  ...row,
  dueAt: dueAt?.toISOString() ?? null,
  changedAt: changedAt.toISOString(),
});

const nextFence = sql<number>`nextval('reconcile_fences')`;

/**
 * Takes a target: whoever took it before writes nothing any more. Taken again by a retry it is taken anew, which costs nothing but a number.
 * @param generation - of the resource as it was read
 */
export const takeTarget = (
  executor: Executor,
  { org, project, target }: TargetKey,
  { generation }: { generation: number },
): Promise<{ fence: number; frozen: boolean }> =>
  guarded(async () => {
    const [row] = await executor
      .insert(reconcileTargets)
      .values({ org, project, target, generation, phase: 'drifted', fence: nextFence })
      .onConflictDoUpdate({
        target: [reconcileTargets.org, reconcileTargets.project, reconcileTargets.target],
        set: { fence: nextFence, generation },
      })
      .returning({ fence: reconcileTargets.fence, frozen: reconcileTargets.frozen });
    return row ?? { fence: 0, frozen: true };
  });

/** Whether nobody has taken the target since. */
export const holdsFence = (executor: Executor, key: TargetKey, fence: number): Promise<boolean> =>
  guarded(async () => {
    const [row] = await executor.select({ fence: reconcileTargets.fence }).from(reconcileTargets).where(at(key));
    return row?.fence === fence;
  });

/**
 * Runs a piece of work in a transaction in which the target cannot be taken, or not at all where it was taken already: between the look at
 * the fence and the write nobody comes.
 */
export const underFence = <T>(
  database: Pick<Database, 'transaction'>,
  key: TargetKey,
  fence: number,
  work: (executor: Executor) => Promise<T>,
): Promise<{ held: true; value: T } | { held: false }> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const [row] = await transaction.select({ fence: reconcileTargets.fence }).from(reconcileTargets).where(at(key)).for('update');
      return row?.fence === fence ? { held: true, value: await work(transaction) } : { held: false };
    }),
  );

/** Puts down where a target is. What stands there already is not written again, so that a steady state costs no write. */
export const writeTarget = (
  database: Pick<Database, 'transaction'>,
  key: TargetKey,
  fence: number,
  { phase, message, drifts, conflicts, dueAt }: TargetReport,
): Promise<'written' | 'unchanged' | 'lost'> =>
  guarded(async () => {
    const done = await underFence(database, key, fence, async (executor) => {
      const report = { phase, message, drifts, conflicts, dueAt };
      const differs = sql`(${reconcileTargets.phase}, ${reconcileTargets.message}, ${reconcileTargets.drifts}, ${reconcileTargets.conflicts}, ${reconcileTargets.dueAt})
        is distinct from (${phase}, ${message}, ${JSON.stringify(drifts)}::jsonb, ${JSON.stringify(conflicts)}::jsonb, ${dueAt?.toISOString() ?? null}::timestamptz)`;
      const written = await executor
        .update(reconcileTargets)
        .set({ ...report, changedAt: sql`now()` })
        .where(and(at(key), differs));
      return (written.rowCount ?? 0) > 0;
    });
    return !done.held ? 'lost' : done.value ? 'written' : 'unchanged';
  });

/** Freezes a target until a person lifts it: nothing of it is changed any more. @returns false where the fence was lost */
export const freezeTarget = (database: Pick<Database, 'transaction'>, key: TargetKey, fence: number, message: string): Promise<boolean> =>
  guarded(async () => {
    const frozen = { frozen: true, phase: 'frozen', message, changedAt: sql`now()` } as const;
    return (await underFence(database, key, fence, (executor) => executor.update(reconcileTargets).set(frozen).where(at(key)))).held;
  });

/** Lifts what froze a target, and has it looked at at once. @returns false where it was not frozen */
export const thawTarget = (executor: Executor, key: TargetKey): Promise<boolean> =>
  guarded(async () => {
    const thawed = await executor
      .update(reconcileTargets)
      .set({ frozen: false, phase: 'drifted', message: '', dueAt: sql`now()`, changedAt: sql`now()` })
      .where(and(at(key), eq(reconcileTargets.frozen, true)));
    return (thawed.rowCount ?? 0) > 0;
  });

export const findTarget = (executor: Executor, key: TargetKey): Promise<TargetRow | undefined> =>
  guarded(async () => {
    const [row] = await executor.select().from(reconcileTargets).where(at(key));
    return row && toRow(row);
  });

/** Rows of a project, or of all, by name. */
export const listTargetRows = (executor: Executor, place: Partial<Tenancy> = {}): Promise<TargetRow[]> =>
  guarded(async () => {
    const { org, project, target } = reconcileTargets;
    const rows = await executor
      .select()
      .from(reconcileTargets)
      .where(and(place.org ? eq(org, place.org) : undefined, place.project ? eq(project, place.project) : undefined))
      .orderBy(asc(org), asc(project), asc(target));
    return rows.map(toRow);
  });

/** Targets for which the time has come, of all tenants, the longest due first. */
export const listDueTargets = (executor: Executor, now: Date, limit = 500): Promise<TargetKey[]> =>
  guarded(async () => {
    const { org, project, target, dueAt } = reconcileTargets;
    return executor.select({ org, project, target }).from(reconcileTargets).where(lte(dueAt, now)).orderBy(asc(dueAt)).limit(limit);
  });

/** Forgets a target that is declared no more; its history stays. */
export const forgetTarget = (executor: Executor, key: TargetKey): Promise<void> =>
  guarded(async () => {
    await executor.delete(reconcileTargets).where(at(key));
  });
