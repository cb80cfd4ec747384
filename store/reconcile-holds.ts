import { and, asc, eq, gt } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { TargetHold } from '../schema/reconcile/fix.ts';
import { reconcileHolds } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';
import type { TargetKey } from './reconcile-targets.ts';

const ofTarget = ({ org, project, target }: TargetKey) =>
  and(eq(reconcileHolds.org, org), eq(reconcileHolds.project, project), eq(reconcileHolds.target, target));

const toHold = (row: typeof reconcileHolds.$inferSelect): TargetHold => {
  const { org: _org, project: _project, target: _target, heldAt, untilAt, ...rest } = row;
  return { ...rest, heldAt: heldAt.toISOString(), untilAt: untilAt.toISOString() };
};

/** Holds something of a target; the same hold again changes nothing. @returns the hold as it stands */
export const placeHold = (
  executor: Executor,
  hold: TargetKey & Omit<TargetHold, 'heldAt' | 'untilAt'> & { untilAt: Date },
): Promise<TargetHold> =>
  guarded(async () => {
    const { org, project, target, id, object, path, reason, heldBy, decisionId, untilAt } = hold;
    await executor
      .insert(reconcileHolds)
      .values({ org, project, target, id, object, path, reason, heldBy, decisionId, untilAt })
      .onConflictDoNothing();
    const [row] = await executor
      .select()
      .from(reconcileHolds)
      .where(and(ofTarget(hold), eq(reconcileHolds.id, id)));
    if (!row) throw new Error(`the hold ${id} was not written`);
    return toHold(row);
  });

/**
 * Ends a hold before its time. It is known as one that has ended: of what was held people are asked, whichever way it ends.
 * @returns what was held, until `at`; undefined where nothing is held by it then
 */
export const liftHold = (executor: Executor, key: TargetKey & { id: string }, at: Date): Promise<TargetHold | undefined> =>
  guarded(async () => {
    const { id, untilAt } = reconcileHolds;
    const [row] = await executor
      .update(reconcileHolds)
      .set({ untilAt: at })
      .where(and(ofTarget(key), eq(id, key.id), gt(untilAt, at)))
      .returning();
    return row && toHold(row);
  });

/** Holds of a target that are in force at an instant, the one that ends first before the others. */
export const listHolds = (executor: Executor, key: TargetKey, at: Date): Promise<TargetHold[]> =>
  guarded(async () => {
    const { untilAt, id } = reconcileHolds;
    const rows = await executor
      .select()
      .from(reconcileHolds)
      .where(and(ofTarget(key), gt(untilAt, at)))
      .orderBy(asc(untilAt), asc(id));
    return rows.map(toHold);
  });

/** Holds in force at an instant, of all targets of a place or of all tenants. */
export const listHoldsIn = (executor: Executor, place: Partial<Tenancy>, at: Date): Promise<(TargetKey & TargetHold)[]> =>
  guarded(async () => {
    const { org, project, untilAt, id } = reconcileHolds;
    const isIn = and(gt(untilAt, at), place.org ? eq(org, place.org) : undefined, place.project ? eq(project, place.project) : undefined);
    const rows = await executor.select().from(reconcileHolds).where(isIn).orderBy(asc(untilAt), asc(id));
    return rows.map((row) => ({ org: row.org, project: row.project, target: row.target, ...toHold(row) }));
  });
