import { and, eq, isNotNull, sql } from 'drizzle-orm';
import { approvals, reconcileFixes, reconcileTargets } from '../schema/tables/tables.ts';
import type { ReconcileMeasures } from '../telemetry/reconcile-metrics.ts';
import { stateNow } from './approvals.ts';
import { type Executor, guarded } from './database.ts';

const count = sql<number>`count(*)::int`;

/** Counts what the reconciler's rows say, of all tenants: where targets are, how fixes ended and by which layer, who is waited for. */
export const measureReconciler = (executor: Executor): Promise<ReconcileMeasures> =>
  guarded(async () => {
    const { org, project } = reconcileTargets;
    const targets = await executor
      .select({
        ...{ org, project, phase: reconcileTargets.phase, count },
        drifts: sql<number>`coalesce(sum(jsonb_array_length(${reconcileTargets.drifts})), 0)::int`,
      })
      .from(reconcileTargets)
      .groupBy(org, project, reconcileTargets.phase);
    const layer = sql<'rule' | 'model' | 'person' | 'none'>`coalesce(${reconcileFixes.plan} -> 'source' ->> 'kind', 'none')`;
    const fixes = await executor
      .select({
        ...{ org: reconcileFixes.org, project: reconcileFixes.project, state: reconcileFixes.state, layer, count },
        modelCalls: sql<number>`coalesce(sum(${reconcileFixes.modelCalls}), 0)::int`,
        costMicroUsd: sql<number>`coalesce(sum(${reconcileFixes.costMicroUsd}), 0)::float8`,
        seconds: sql<number>`coalesce(sum(extract(epoch from ${reconcileFixes.endedAt} - ${reconcileFixes.beganAt})), 0)::float8`,
      })
      .from(reconcileFixes)
      .where(isNotNull(reconcileFixes.endedAt))
      .groupBy(reconcileFixes.org, reconcileFixes.project, reconcileFixes.state, layer);
    const waiting = await executor
      .select({ org: approvals.org, project: approvals.project, count })
      .from(approvals)
      .where(and(eq(approvals.kind, 'fix'), sql`${stateNow} = 'pending'`))
      .groupBy(approvals.org, approvals.project);
    return { targets, fixes, waiting };
  });
