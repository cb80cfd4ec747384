import { passiveOperations } from '../../../schema/reconcile/operation.ts';
import type { SeenTarget } from '../keeper.ts';
import { type Layer, rightLayers } from '../taxonomy.ts';

/** Who mended it; where nobody did, who was asked last, or who decided that nothing is to be done. */
export const layerOf = ({ phase, fixes }: SeenTarget): Layer => {
  const mended = fixes.find(({ state }) => state === 'fixed');
  const last = mended ?? fixes[0];
  if (last === undefined) return phase === 'asking' || phase === 'contested' ? 'person' : 'none';
  if (last.plan?.source.kind !== 'rule') return 'model';
  // a rule that only asks hands it to people
  const asks = last.plan.steps.every(({ operation }) => operation.op === 'askOwner' && passiveOperations.has(operation.op));
  return asks ? 'person' : 'rule';
};

/** Whether it is the layer that the taxonomy gives the fault to. */
export const isRightLayer = (id: string, seen: SeenTarget): boolean => rightLayers(id).includes(layerOf(seen));
