import { condition, continueAsNew, defineSignal, proxyActivities, setHandler, sleep, workflowInfo } from '@temporalio/workflow';

/**
 * The workflow of the reconciler as an earlier build had it: kept as it was, whole and by itself, so that what it began can be handed to the
 * build of today. It knows less of what is between two steps, and waits in a loop of its own.
 */
type Key = { org: string; project: string; target: string };
type Next = { next: string; afterMs: number; fixId?: string; tries?: number; goneSinceAt?: string | null };
type Work = (call: object) => Promise<Next>;

export async function reconcile(key: Key): Promise<void> {
  const own = workflowInfo().taskQueue;
  const queue = (kind: string): string => own.slice(0, -'control'.length) + kind;
  const retry = { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s' } as const;
  const options = {
    startToCloseTimeout: '10 minutes',
    scheduleToCloseTimeout: '24 hours',
    heartbeatTimeout: '15 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry,
  } as const;
  const target = proxyActivities<{ takeReconcile(key: Key): Promise<{ fence: number }> } & Record<string, Work>>({
    ...options,
    taskQueue: queue('apply'),
  });
  const model = proxyActivities<Record<string, Work>>({ ...options, startToCloseTimeout: '70 minutes', taskQueue: queue('model') });
  let news = 1;
  const count = (): void => {
    news += 1;
  };
  setHandler(defineSignal('targetChanged'), count);
  setHandler(defineSignal('approvalDecided'), count);

  const { fence } = await target.takeReconcile(key);
  const call = { ...key, fence };
  let step: Next = { next: 'look', afterMs: 0 };
  while (step.next !== 'end' || news > 0) {
    const { next, afterMs, ...fix } = step;
    if (next === 'end' || next === 'look' || next === 'await') {
      if (next !== 'end' && afterMs > 0) await condition(() => news > 0, afterMs);
      news = 0;
      step = (await target.lookAtTarget?.(call)) as Next;
    } else {
      if (afterMs > 0) await sleep(afterMs);
      const work: Record<string, Work | undefined> = {
        diagnose: model.diagnoseFix,
        check: target.checkFix,
        recheck: target.recheckFix,
        apply: target.applyStep,
        judge: target.judgeFix,
        undo: target.undoStep,
      };
      step = (await work[next]?.({ ...call, ...fix })) as Next;
    }
    if (workflowInfo().historyLength > 2_000) return continueAsNew<typeof reconcile>(key);
  }
}
