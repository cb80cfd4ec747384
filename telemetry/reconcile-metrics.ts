import { Counter, Gauge } from 'prom-client';
import type { FixState, TargetPhase } from '../schema/reconcile/target-state.ts';
import type { Metrics } from './process-metrics.ts';

type Place = { org: string; project: string };
/** What the rows of the reconciler say at one moment. `fixes` are those that have ended, counted over all time. */
export type ReconcileMeasures = {
  targets: (Place & { phase: TargetPhase; count: number; drifts: number })[];
  fixes: (Place & {
    state: FixState;
    layer: 'rule' | 'model' | 'person' | 'none';
    count: number;
    modelCalls: number;
    costMicroUsd: number;
    /** From their beginning to their end, in all. */
    seconds: number;
  })[];
  waiting: (Place & { count: number })[];
};

/** Several gauges are read in one scrape: they share one reading. */
const sharedMs = 1_000;

/**
 * Where targets are and how fixes ended, for Prometheus. It is all in rows, which every process and every restart has in common, so it is
 * counted there when somebody asks.
 * @param measure - a reading; while it fails the series stay away rather than lie
 */
export const registerReconcileMetrics = (registry: Metrics, measure: () => Promise<ReconcileMeasures>): void => {
  const registers = [registry];
  let last: { atMs: number; reading: Promise<ReconcileMeasures | undefined> } | undefined;
  const read = (): Promise<ReconcileMeasures | undefined> => {
    if (!last || performance.now() - last.atMs > sharedMs) last = { atMs: performance.now(), reading: measure().catch(() => undefined) };
    return last.reading;
  };
  const place = ['org', 'project'] as const;
  type Series = [labels: Record<string, string>, value: number];

  const gauge = (name: string, help: string, labels: readonly string[], series: (measures: ReconcileMeasures) => Series[]): void => {
    new Gauge({
      ...{ name, help, registers, labelNames: [...place, ...labels] },
      async collect() {
        const measures = await read();
        this.reset();
        for (const [of, value] of measures ? series(measures) : []) this.inc(of, value);
      },
    });
  };
  const counter = (name: string, help: string, labels: readonly string[], series: (measures: ReconcileMeasures) => Series[]): void => {
    new Counter({
      ...{ name, help, registers, labelNames: [...place, ...labels] },
      async collect() {
        const measures = await read();
        this.reset();
        for (const [of, value] of measures ? series(measures) : []) this.inc(of, value);
      },
    });
  };

  gauge('quarterdeck_reconcile_targets', 'Targets by where they are; `frozen` and `asking` wait for a person.', ['phase'], ({ targets }) =>
    targets.map(({ org, project, phase, count }) => [{ org, project, phase }, count]),
  );
  gauge('quarterdeck_reconcile_drifts', 'Differences between declared and observed, as last put down.', [], ({ targets }) =>
    targets.map(({ org, project, drifts }) => [{ org, project }, drifts]),
  );
  gauge('quarterdeck_reconcile_approvals_waiting', 'Fixes that wait for people.', [], ({ waiting }) =>
    waiting.map(({ org, project, count }) => [{ org, project }, count]),
  );
  counter('quarterdeck_reconcile_fixes_total', 'Fixes that ended, by how and by who made the plan.', ['outcome', 'layer'], ({ fixes }) =>
    fixes.map(({ org, project, state, layer, count }) => [{ org, project, outcome: state, layer }, count]),
  );
  counter('quarterdeck_reconcile_model_calls_total', 'Calls of models for diagnoses.', [], ({ fixes }) =>
    fixes.map(({ org, project, modelCalls }) => [{ org, project }, modelCalls]),
  );
  counter('quarterdeck_reconcile_model_cost_micro_usd_total', 'What diagnoses cost, in millionths of a US dollar.', [], ({ fixes }) =>
    fixes.map(({ org, project, costMicroUsd }) => [{ org, project }, costMicroUsd]),
  );
  // with the count of fixes that mended it, the mean: a summary of Prometheus by its two parts
  counter(
    'quarterdeck_reconcile_converge_seconds_sum',
    'Seconds from the beginning of fixes to their verified end, by layer.',
    ['layer'],
    ({ fixes }) =>
      fixes.filter(({ state }) => state === 'fixed').map(({ org, project, layer, seconds }) => [{ org, project, layer }, seconds]),
  );
  counter('quarterdeck_reconcile_converge_seconds_count', 'Fixes that mended their fault, by layer.', ['layer'], ({ fixes }) =>
    fixes.filter(({ state }) => state === 'fixed').map(({ org, project, layer, count }) => [{ org, project, layer }, count]),
  );
};
