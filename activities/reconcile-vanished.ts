import type { Fix } from '../schema/reconcile/fix.ts';
import { writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { StepOutcome } from '../schema/reconcile/plan.ts';
import { endStep, listSteps } from '../store/reconcile-steps.ts';
import { endFix } from './reconcile-close.ts';
import type { ReconcileCollaborators, TargetCall } from './reconcile-context.ts';
import { writeEvent } from './reconcile-write.ts';

/**
 * Ends a fix whose target nobody declares any more: nothing of it is changed from now on, not back either, and what was done and stays is said.
 * Of a step that was begun and whose outcome nobody put down, that is put down, with a row of the audit.
 */
export const endVanished = async (collaborators: ReconcileCollaborators, call: TargetCall, fix: Fix): Promise<void> => {
  const { database, audit } = collaborators;
  const operationOf = (step: number) => fix.plan?.steps[step]?.operation;
  const tried = await listSteps(database, fix.id);
  for (const row of tried.filter(({ outcome }) => outcome === null)) {
    const operation = operationOf(row.step);
    const outcome: StepOutcome = { kind: 'unknown', message: 'The target was declared no more while this was under way.' };
    await database.transaction(async (transaction) => {
      const isOpen = await endStep(transaction, row, outcome);
      if (isOpen && operation) await audit.append(transaction, [writeEvent(fix, { ...row, operation }, row, 'outcome', outcome)]);
    });
  }
  const said = tried.flatMap(({ direction, step, outcome }) => {
    const operation = operationOf(step);
    const what = operation ? ` (${operation.op} ${writeObjectRef(operation.object)})` : '';
    if (outcome?.kind === 'applied') return [`step ${step + 1}${what} was ${direction === 'do' ? 'done' : 'undone'}`];
    return outcome === null || outcome.kind === 'unknown' ? [`nobody knows what became of step ${step + 1}${what}`] : [];
  });
  const left = said.length > 0 ? ` It is left as it is: ${said.join('; ')}.` : '';
  // what changed something counts as that, whatever it was to become
  const state = said.length > 0 ? 'failed' : 'stale';
  await endFix(collaborators, call, fix, state, { message: `The target is declared no more.${left}` });
};
