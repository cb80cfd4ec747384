import { expect, test } from 'vitest';
import { measureReconciler } from '../../store/reconcile-measures.ts';
import { createMetrics } from '../../telemetry/process-metrics.ts';
import { registerReconcileMetrics } from '../../telemetry/reconcile-metrics.ts';
import { askForFix } from '../support/ask-for-fix.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();

test('what the rows of the reconciler say is counted when Prometheus asks, by how fixes ended and by which layer', async () => {
  const ended = await askForFix(database());
  await ended.end('left-alone');
  await askForFix(database());
  const metrics = createMetrics({ process: 'control' });
  registerReconcileMetrics(metrics, () => measureReconciler(database()));
  const text = await metrics.metrics();
  const place = 'org="default",project="default"';
  for (const line of [
    `quarterdeck_reconcile_targets{${place},phase="drifted",process="control"} 2`,
    `quarterdeck_reconcile_fixes_total{${place},outcome="left-alone",layer="model",process="control"} 1`,
    `quarterdeck_reconcile_approvals_waiting{${place},process="control"} 2`,
    `quarterdeck_reconcile_model_calls_total{${place},process="control"} 0`,
  ])
    expect(text.split('\n')).toContain(line);
});

test('while the rows cannot be read the series stay away', async () => {
  const metrics = createMetrics({ process: 'control' });
  registerReconcileMetrics(metrics, () => Promise.reject(new Error('away')));
  const lines = (await metrics.metrics()).split('\n').filter((line) => line.startsWith('quarterdeck_reconcile'));
  expect(lines).toEqual([]);
});
