import { valueAt } from '../json-pointer.ts';
import type { Rule } from './rule.ts';

/** Says on a manifest which finalizer its program serves. */
const servesAnnotation = '/metadata/annotations/quarterdeck.dev~1finalizer';

/** K12: who cleans up after the finalizer is brought back, and the clean-up is finished; the finalizer itself is never taken away. */
export const reviveController: Rule = {
  name: 'revive-controller',
  description: 'What is stuck in deletion gets the declared controller of its finalizer back.',
  mends: ['K12'],
  cap: { times: 2, withinSeconds: 3600 },
  verified: 'What was stuck is gone.',
  undone: 'Nothing is: the controller is as it was declared.',
  fix: ({ drift, seen, desired }) => {
    const finalizers = valueAt(seen?.state, '/metadata/finalizers');
    if (drift.kind !== 'deleting' || !Array.isArray(finalizers)) return undefined;
    const finalizer = finalizers.find((one) => desired.some(({ state }) => valueAt(state, servesAnnotation) === one));
    return typeof finalizer === 'string' ? [{ op: 'reviveController', object: drift.object, finalizer }] : undefined;
  },
};
