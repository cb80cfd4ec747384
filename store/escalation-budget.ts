import { and, eq, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { reconcileBudgets } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';

export type EscalationKey = Tenancy & { target: string; fixId: string };
/** Micro-dollars, of one escalation and of all that began on one day: of a target and, where it says so, of its project. */
export type EscalationLimits = { costMicroUsd: number; costMicroUsdPerDay: number; projectCostMicroUsdPerDay?: number | undefined };
export type OverWhat = 'escalation' | 'day' | 'project-day';
export type Charge = { ok: true } | { ok: false; over: OverWhat };

/** Undoes the transaction. */
class OverDay extends Error {
  readonly over: OverWhat;
  constructor(over: OverWhat) {
    super(over);
    this.over = over;
  }
}

/** All targets of a project together; no target is named so. */
const wholeProject = '';

const at = ({ org, project, target }: EscalationKey, scope: string) =>
  and(
    eq(reconcileBudgets.org, org),
    eq(reconcileBudgets.project, project),
    eq(reconcileBudgets.target, target),
    eq(reconcileBudgets.scope, scope),
  );

const addScope = async (executor: Executor, { org, project, target }: EscalationKey, scope: string, day: unknown): Promise<void> => {
  await executor.execute(sql`insert into reconcile_budgets (org, project, target, scope, day)
    values (${org}, ${project}, ${target}, ${scope}, ${day}) on conflict do nothing`);
};

/**
 * Sets what an escalation is charged in all, and moves its target's day and its project's by the difference: before a call what was spent and
 * the worst that the call may cost, after it what was spent. Said again it changes nothing, so a retry costs nothing more.
 * @param totalMicroUsd - of this escalation since it began
 * @param limits - without them it is put down whatever it is, because it was spent
 */
export const chargeEscalation = (
  database: Database,
  key: EscalationKey,
  totalMicroUsd: number,
  limits?: EscalationLimits,
): Promise<Charge> =>
  guarded(async () => {
    if (limits && totalMicroUsd > limits.costMicroUsd) return { ok: false, over: 'escalation' };
    const scope = `fix/${key.fixId}`;
    try {
      await database.transaction(async (transaction) => {
        await addScope(transaction, key, scope, sql`to_char(now() at time zone 'utc', 'YYYY-MM-DD')`);
        const [mine] = await transaction.select().from(reconcileBudgets).where(at(key, scope)).for('update');
        const difference = totalMicroUsd - (mine?.chargedMicroUsd ?? 0);
        const day = `day/${mine?.day}`;
        const days = [
          { of: key, most: limits?.costMicroUsdPerDay, over: 'day' },
          { of: { ...key, target: wholeProject }, most: limits?.projectCostMicroUsdPerDay, over: 'project-day' },
        ] as const;
        // in this order always, so that nobody waits for one who waits for them
        for (const { of, most, over } of days) {
          await addScope(transaction, of, day, mine?.day);
          // one conditional update: escalations at the same time cannot pass the day's limit together
          const isWithin = difference > 0 && most !== undefined;
          const within = isWithin ? sql`${reconcileBudgets.chargedMicroUsd} + ${difference}::bigint <= ${most}` : undefined;
          const moved = await transaction
            .update(reconcileBudgets)
            .set({ chargedMicroUsd: sql`greatest(0, ${reconcileBudgets.chargedMicroUsd} + ${difference}::bigint)` })
            .where(and(at(of, day), within));
          if ((moved.rowCount ?? 0) === 0) throw new OverDay(over);
        }
        await transaction.update(reconcileBudgets).set({ chargedMicroUsd: totalMicroUsd }).where(at(key, scope));
      });
      return { ok: true };
    } catch (error) {
      if (error instanceof OverDay) return { ok: false, over: error.over };
      throw error;
    }
  });

/** @returns micro-dollars charged to a scope, 0 where there is none; with an empty target those of the whole project */
export const chargedTo = (database: Database, key: EscalationKey, scope: `fix/${string}` | `day/${string}`): Promise<number> =>
  guarded(async () => {
    const [row] = await database.select({ charged: reconcileBudgets.chargedMicroUsd }).from(reconcileBudgets).where(at(key, scope));
    return row?.charged ?? 0;
  });
