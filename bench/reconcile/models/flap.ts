import type { ProposableOperation } from '../../../schema/reconcile/operation.ts';
import { expert } from './expert.ts';
import type { BenchModel } from './serve-models.ts';

/** Says something else each time it is asked: to start anew, to wait, to do nothing, and now and then what is right. */
export const createFlapModel = (): BenchModel => {
  let asked = 0;
  return (evidence) => {
    asked += 1;
    const right = expert(evidence);
    const object = right.operations[0]?.object as ProposableOperation['object'];
    const other: readonly ProposableOperation[] = [
      { op: 'restart', object },
      { op: 'wait', object, seconds: 1 },
      { op: 'nothing', object },
    ];
    const turn = asked % 4;
    return JSON.stringify(turn === 0 ? right : { diagnosis: 'Perhaps this.', confidence: 0.5, operations: [other[turn - 1]] });
  };
};
