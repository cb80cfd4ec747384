import { condition, continueAsNew, defineSignal, setHandler, sleep, workflowInfo } from '@temporalio/workflow';
import type { NextStep } from '../../../activities/reconcile-context.ts';
import { approvalDecidedSignal, type ReconcileWorkflowInput, targetChangedSignal } from '../../../schema/workflow-contract.ts';
import { diagnosisActivities, targetActivities } from '../../../workflows/activity-options.ts';

/**
 * The workflow of the reconciler as a later build may have it: once more it looks at the target before an approval is read again. What an
 * earlier build began has not got that step in its history, and nobody asks: this one is wrong.
 */
export async function reconcile({ org, project, target }: ReconcileWorkflowInput): Promise<void> {
  const { takeReconcile, lookAtTarget, checkFix, recheckFix, applyStep, judgeFix, undoStep } = targetActivities();
  const { diagnoseFix } = diagnosisActivities();
  let hasChanged = true;
  const change = (): void => {
    hasChanged = true;
  };
  setHandler(defineSignal(targetChangedSignal), change);
  setHandler(defineSignal(approvalDecidedSignal), change);
  const { fence } = await takeReconcile({ org, project, target });
  const call = { org, project, target, fence };
  let step: NextStep = { next: 'look', afterMs: 0 };
  for (;;) {
    if (step.next === 'end' || step.next === 'look' || step.next === 'await') {
      if (step.next !== 'end' && step.afterMs > 0) await condition(() => hasChanged, step.afterMs);
      hasChanged = false;
      step = await lookAtTarget(call);
    } else {
      const due: Exclude<NextStep, { next: 'end' | 'look' | 'await' }> = step;
      const { next, afterMs, ...fix } = { ...call, ...due };
      if (afterMs > 0) await sleep(afterMs);
      if (next === 'recheck') await lookAtTarget(call);
      const work = { diagnose: diagnoseFix, check: checkFix, recheck: recheckFix, apply: applyStep, judge: judgeFix, undo: undoStep };
      step = await work[next](fix);
    }
    if (step.next === 'end' && !hasChanged) return;
    if (workflowInfo().historyLength > 2_000) return continueAsNew<typeof reconcile>({ org, project, target });
  }
}
