import { and, asc, eq, getTableColumns, isNull, or, sql } from 'drizzle-orm';
import type { TriedStep } from '../schema/reconcile/fix.ts';
import type { StepOutcome } from '../schema/reconcile/plan.ts';
import { reconcileSteps } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';

export type StepKey = Pick<TriedStep, 'fixId' | 'direction' | 'step'>;

const at = ({ fixId, direction, step }: StepKey) =>
  and(eq(reconcileSteps.fixId, fixId), eq(reconcileSteps.direction, direction), eq(reconcileSteps.step, step));

const toStep = ({ beganAt, endedAt, ...row }: typeof reconcileSteps.$inferSelect): TriedStep => ({
  ...row,
  beganAt: beganAt.toISOString(),
  endedAt: endedAt?.toISOString() ?? null,
});

/** The same for one step of one fix however often it is tried: by it an adapter finds what became of an earlier try. */
export const stepOperationId = ({ fixId, direction, step }: StepKey): string => `${fixId}/${direction}/${step}`;

/**
 * Puts down that a step is about to be tried, before it is. Tried before, it stays as it was put down then, with what came of it if that is
 * known; what is not known goes over to the fence that looks at it now.
 * @returns the step, and whether it was put down before
 */
export const beginStep = (
  executor: Executor,
  key: StepKey & { fence: number; beforeHash: string },
): Promise<TriedStep & { isRetry: boolean }> =>
  guarded(async () => {
    const { fixId, direction, step, fence, beforeHash } = key;
    const [row] = await executor
      .insert(reconcileSteps)
      .values({ fixId, direction, step, fence, beforeHash, operationId: stepOperationId(key) })
      .onConflictDoUpdate({
        target: [reconcileSteps.fixId, reconcileSteps.direction, reconcileSteps.step],
        set: { fence: sql`case when ${reconcileSteps.outcome} is null then excluded.fence else ${reconcileSteps.fence} end` },
      })
      // what was inserted just now was locked by nobody before
      .returning({ ...getTableColumns(reconcileSteps), isRetry: sql<boolean>`xmax <> 0` });
    if (!row) throw new Error(`the step ${stepOperationId(key)} was not written`);
    const { isRetry, ...tried } = row;
    return { ...toStep(tried), isRetry };
  });

/** Puts down what came of a step. What is known already stays; only `unknown` may become known later. @returns false where it stayed */
export const endStep = (executor: Executor, key: StepKey, outcome: StepOutcome, afterHash = ''): Promise<boolean> =>
  guarded(async () => {
    const isOpen = or(isNull(reconcileSteps.outcome), sql`${reconcileSteps.outcome} ->> 'kind' = 'unknown'`);
    const ended = await executor
      .update(reconcileSteps)
      .set({ outcome, afterHash, endedAt: sql`now()` })
      .where(and(at(key), isOpen));
    return (ended.rowCount ?? 0) > 0;
  });

/** Steps of a fix that were tried, and their undoing, in their order. */
export const listSteps = (executor: Executor, fixId: string): Promise<TriedStep[]> =>
  guarded(async () => {
    const { direction, step } = reconcileSteps;
    const rows = await executor.select().from(reconcileSteps).where(eq(reconcileSteps.fixId, fixId)).orderBy(asc(direction), asc(step));
    return rows.map(toStep);
  });
