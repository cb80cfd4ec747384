import { objectKey } from '../../schema/reconcile/object-ref.ts';
import { passiveOperations } from '../../schema/reconcile/operation.ts';
import type { BlastRadius, Plan } from '../../schema/reconcile/plan.ts';

/** Counted by code: never what a model says of its own plan. @param total - objects of the target */
export const measureBlast = ({ steps }: Pick<Plan, 'steps'>, total: number): BlastRadius => {
  const acting = steps.filter(({ operation }) => !passiveOperations.has(operation.op));
  const refs = [...new Map(acting.map(({ operation: { object } }) => [objectKey(object), object])).values()];
  const isReversible = acting.every(({ undo }) => undo.kind !== 'irreversible');
  const percent = refs.length === 0 ? 0 : (100 * refs.length) / Math.max(total, refs.length);
  const deletes = acting.some(({ operation }) => operation.op === 'prune');
  const score =
    refs.length === 0
      ? 0
      : Math.min(5, 1 + (refs.length > 1 ? 1 : 0) + (percent > 50 && total > 1 ? 1 : 0) + (isReversible ? 0 : 2) + (deletes ? 1 : 0));
  return {
    objects: refs.length,
    percent,
    namespaces: [...new Set(refs.map(({ namespace }) => namespace).filter(Boolean))].sort(),
    kinds: [...new Set(refs.map(({ kind }) => kind))].sort(),
    isReversible,
    score,
  };
};
