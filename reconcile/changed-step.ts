import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { ReadObservation } from '../schema/reconcile/observation.ts';
import type { Plan } from '../schema/reconcile/plan.ts';

/** Which step's object is not as it was when the plan was made; -1 where all are. A change of status alone is none. */
export const changedStep = (plan: Plan, { objects }: ReadObservation): number => {
  const seen = new Map(objects.map((object) => [objectKey(object.ref), object]));
  return plan.steps.findIndex(({ precondition, operation }) => {
    const object = seen.get(objectKey(operation.object));
    if (precondition.kind === 'absent') return object !== undefined;
    if (precondition.kind === 'none') return false;
    return (
      object === undefined ||
      object.uid !== precondition.uid ||
      (object.version !== precondition.version && object.hash !== precondition.hash)
    );
  });
};

/** The same for people. */
export const changedSince = (step: number): string =>
  `Somebody changed what step ${step + 1} is about since the plan was made; that stays as it is.`;
