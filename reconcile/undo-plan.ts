import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { Observation } from '../schema/reconcile/observation.ts';
import type { UndoOperation } from '../schema/reconcile/operation.ts';
import type { Plan, Precondition, Rewritten, StepOutcome } from '../schema/reconcile/plan.ts';

export type UndoStep = { step: number; operation: UndoOperation; precondition: Precondition; rewritten?: Rewritten };

/**
 * Back to where a plan began, last step first, of the steps that had an effect or may have had one. What was applied is undone only where it is
 * still as we left it: somebody's later edit is kept, and then the undo fails visibly. After an `unknown` nobody knows how it is.
 * @param outcomes - one a step in their order; null where it was not tried
 * @param observation - what is seen now: whether something was made whose making answered `unknown`, and which one it is
 */
export const undoPlan = ({ steps }: Pick<Plan, 'steps'>, outcomes: readonly (StepOutcome | null)[], observation: Observation): UndoStep[] =>
  steps
    .flatMap(({ operation, undo }, step): UndoStep[] => {
      const outcome = outcomes[step];
      if (outcome?.kind !== 'applied' && outcome?.kind !== 'unknown') return [];
      const precondition: Precondition =
        outcome.kind === 'applied' ? { kind: 'version', version: outcome.version, hash: outcome.hash, uid: outcome.uid } : { kind: 'none' };
      const { object } = operation;
      if (undo.kind === 'restore') {
        // after a prune there is nothing whose version could hold
        const asLeft: Precondition = operation.op === 'prune' ? { kind: 'absent' } : precondition;
        const rewritten = outcome.kind === 'applied' && outcome.rewritten ? { rewritten: outcome.rewritten } : {};
        return [{ step, operation: { op: 'restore', object, stateDigest: undo.stateDigest }, precondition: asLeft, ...rewritten }];
      }
      if (undo.kind === 'remove') {
        const seen =
          observation.status === 'read' ? observation.objects.find(({ ref }) => objectKey(ref) === objectKey(object)) : undefined;
        // it was never made; what stands there and is not ours is somebody else's
        if (outcome.kind === 'unknown' && observation.status === 'read' && seen?.isOurs !== true) return [];
        // without a uid nothing is removed: an undo that cannot know what it removes fails, and people are called
        const uid = outcome.kind === 'applied' ? outcome.uid : (seen?.uid ?? '');
        return [{ step, operation: { op: 'remove', object, uid }, precondition }];
      }
      if (undo.kind === 'undoAct' && operation.op === 'act')
        return [{ step, operation: { op: 'undoAct', object, action: operation.action, stateDigest: undo.stateDigest }, precondition }];
      return [];
    })
    .toReversed();
