import { and, asc, eq, gt, inArray, isNull, or } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { TargetPause } from '../schema/reconcile/target-pause.ts';
import { reconcilePauses } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';
import type { TargetKey } from './reconcile-targets.ts';

const { org, project, target, untilAt } = reconcilePauses;
const inForce = (at: Date) => or(isNull(untilAt), gt(untilAt, at));

const toPause = (row: typeof reconcilePauses.$inferSelect): TargetPause => ({
  ...row,
  pausedAt: row.pausedAt.toISOString(),
  untilAt: row.untilAt?.toISOString() ?? null,
});

/** Pauses a target, or all of a project (`target` empty); a new one takes the place of the one before. */
export const placePause = (
  executor: Executor,
  pause: TargetKey & Pick<TargetPause, 'reason' | 'pausedBy' | 'decisionId'> & { untilAt: Date | null },
): Promise<TargetPause> =>
  guarded(async () => {
    const { reason, pausedBy, decisionId } = pause;
    const [row] = await executor
      .insert(reconcilePauses)
      .values({ org: pause.org, project: pause.project, target: pause.target, reason, pausedBy, decisionId, untilAt: pause.untilAt })
      .onConflictDoUpdate({
        target: [org, project, target],
        set: { reason, pausedBy, decisionId, untilAt: pause.untilAt, pausedAt: new Date() },
      })
      .returning();
    if (!row) throw new Error('the pause was not written');
    return toPause(row);
  });

/** @returns what was paused; undefined where nothing was */
export const liftPause = (executor: Executor, key: TargetKey): Promise<TargetPause | undefined> =>
  guarded(async () => {
    const [row] = await executor
      .delete(reconcilePauses)
      .where(and(eq(org, key.org), eq(project, key.project), eq(target, key.target)))
      .returning();
    return row && toPause(row);
  });

/** What pauses a target at an instant: a pause of its own before that of its project. */
export const findPause = (executor: Executor, key: TargetKey, at: Date): Promise<TargetPause | undefined> =>
  guarded(async () => {
    const rows = await executor
      .select()
      .from(reconcilePauses)
      .where(and(eq(org, key.org), eq(project, key.project), inArray(target, [key.target, '']), inForce(at)));
    const row = rows.find((one) => one.target === key.target) ?? rows[0];
    return row && toPause(row);
  });

/** Pauses in force of a project, or of all. */
export const listPauses = (executor: Executor, place: Partial<Tenancy>, at: Date): Promise<TargetPause[]> =>
  guarded(async () => {
    const isIn = and(place.org ? eq(org, place.org) : undefined, place.project ? eq(project, place.project) : undefined, inForce(at));
    return (await executor.select().from(reconcilePauses).where(isIn).orderBy(asc(org), asc(project), asc(target))).map(toPause);
  });
