import { sql } from 'drizzle-orm';
import type { Conflict } from '../schema/reconcile/drift.ts';
import { reconcileTargets } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';
import type { TargetKey } from './reconcile-targets.ts';

/**
 * Puts down that a target at which nobody works is as it was declared, or cannot be read. Where a workflow has said something else, that
 * stands: it is its to change. What stands there already is not written again.
 * @returns whether a row was written
 */
export const noteTarget = (
  executor: Executor,
  key: TargetKey,
  note: { generation: number; phase: 'clean' | 'unknown'; message: string; conflicts: readonly Conflict[] },
): Promise<boolean> =>
  guarded(async () => {
    const { generation, phase, message } = note;
    const conflicts = [...note.conflicts];
    const { org, project, target } = key;
    const differs = sql`${reconcileTargets.phase} in ('clean', 'unknown') and not ${reconcileTargets.frozen}
      and (${reconcileTargets.generation}, ${reconcileTargets.phase}, ${reconcileTargets.message}, ${reconcileTargets.conflicts})
        is distinct from (${generation}, ${phase}, ${message}, ${JSON.stringify(conflicts)}::jsonb)`;
    const written = await executor
      .insert(reconcileTargets)
      .values({ org, project, target, generation, phase, message, conflicts })
      .onConflictDoUpdate({
        target: [reconcileTargets.org, reconcileTargets.project, reconcileTargets.target],
        set: { generation, phase, message, conflicts, drifts: [], dueAt: null, changedAt: sql`now()` },
        setWhere: differs,
      });
    return (written.rowCount ?? 0) > 0;
  });
