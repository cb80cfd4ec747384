import { valueAt } from '../json-pointer.ts';
import { hasSymptom, type Rule } from './rule.ts';

/** K04: a pull secret that ran out is filled anew from its declared source; no other secret is taken in its place. */
export const refreshPullSecret: Rule = {
  name: 'refresh-pull-secret',
  description: 'A pull secret that the registry refuses is filled anew from the source declared for it.',
  mends: ['K04'],
  cap: { times: 1, withinSeconds: 3600 },
  verified: 'The images are pulled and the containers are ready.',
  undone: 'Nothing is: what was in it had run out.',
  fix: (facts) => {
    const { drift, seen, desired } = facts;
    const isRefused = drift.symptoms.some(({ message }) => /\b401\b|unauthorized|authentication required/i.test(message));
    if (drift.kind !== 'unhealthy' || !hasSymptom(facts, 'ImagePullBackOff', 'ErrImagePull') || !isRefused) return undefined;
    const names = valueAt(seen?.state, '/spec/template/spec/imagePullSecrets');
    const declared = desired.find(
      ({ ref }) =>
        ref.kind === 'Secret' &&
        ref.namespace === drift.object.namespace &&
        Array.isArray(names) &&
        names.some((one) => valueAt(one, '/name') === ref.name),
    );
    // what nobody declared has no source to be filled from
    return declared && [{ op: 'refreshSecret', object: declared.ref }];
  },
};
