import { valueAt } from '../json-pointer.ts';
import { hasSymptom, type Rule } from './rule.ts';

/** K04: a pull secret that ran out is filled anew from its declared source; no other secret is taken in its place. */
export const refreshPullSecret: Rule = {
  name: 'refresh-pull-secret',
  description: 'A pull secret that the registry refuses is filled anew from the source declared for it.',
  cap: { times: 1, withinSeconds: 3600 },
  fix: (facts) => {
    const { drift, seen } = facts;
    const isRefused = drift.symptoms.some(({ message }) => /\b401\b|unauthorized|authentication required/i.test(message));
    if (drift.kind !== 'unhealthy' || !hasSymptom(facts, 'ImagePullBackOff', 'ErrImagePull') || !isRefused) return undefined;
    const name = valueAt(seen?.state, '/spec/template/spec/imagePullSecrets/0/name');
    if (typeof name !== 'string') return undefined;
    return [{ op: 'refreshSecret', object: { apiVersion: 'v1', kind: 'Secret', namespace: drift.object.namespace, name } }];
  },
};
