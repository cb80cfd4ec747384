import { condition, continueAsNew, defineSignal, setHandler, sleep, workflowInfo } from '@temporalio/workflow';
import type { NextStep } from '../activities/reconcile-context.ts';
import {
  type ApprovalDecided,
  approvalDecidedSignal,
  type ReconcileWorkflowInput,
  targetChangedSignal,
} from '../schema/workflow-contract.ts';
import { diagnosisActivities, targetActivities } from './activity-options.ts';

/** Well under the 4,096 events at which the server suggests it. */
const mostEvents = 2_000;

/**
 * What keeps one target while there is something to do; its id is the target's. It only drives: each activity reads the rows, does one thing,
 * puts it down, and says what is next. So nothing is lost with it, and the next one goes on from the rows.
 */
export async function reconcile({ org, project, target }: ReconcileWorkflowInput): Promise<void> {
  const { takeReconcile, lookAtTarget, checkFix, recheckFix, applyStep, judgeFix, undoStep } = targetActivities();
  const { diagnoseFix } = diagnosisActivities();
  let hasChanged = true;
  const change = (): void => {
    hasChanged = true;
  };
  setHandler(defineSignal(targetChangedSignal), change);
  // the signal says only that: the row is read
  setHandler(defineSignal<[ApprovalDecided]>(approvalDecidedSignal), change);

  const { fence } = await takeReconcile({ org, project, target });
  const call = { org, project, target, fence };

  const perform = async (step: Exclude<NextStep, { next: 'end' }>): Promise<NextStep> => {
    if (step.next === 'look' || step.next === 'await') {
      // waiting ends with a change: it may be what was waited for
      if (step.afterMs > 0) await condition(() => hasChanged, step.afterMs);
      hasChanged = false;
      return lookAtTarget(call);
    }
    const { next, afterMs, ...fix } = { ...call, ...step };
    if (afterMs > 0) await sleep(afterMs);
    switch (next) {
      case 'diagnose':
        return diagnoseFix(fix);
      case 'check':
        return checkFix(fix);
      case 'recheck':
        return recheckFix(fix);
      case 'apply':
        return applyStep(fix);
      case 'judge':
        return judgeFix(fix);
      case 'undo':
        return undoStep(fix);
    }
  };

  let step: NextStep = { next: 'look', afterMs: 0 };
  for (;;) {
    step = await perform(step);
    if (step.next === 'end') {
      if (!hasChanged) return;
      step = { next: 'look', afterMs: 0 };
    }
    const { historyLength, continueAsNewSuggested } = workflowInfo();
    if (historyLength > mostEvents || continueAsNewSuggested) return continueAsNew<typeof reconcile>({ org, project, target });
  }
}
