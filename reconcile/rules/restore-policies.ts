import { valueAt } from '../json-pointer.ts';
import { hasSymptom, type Rule } from './rule.ts';

/** G07: policies that cannot be put into force deny everything; the newest that could be are declared again. Nothing is ever permitted for it. */
export const restorePolicies: Rule = {
  name: 'restore-policies',
  description: 'Policies that cannot be read are put back to the last revision that was in force.',
  mends: ['G07'],
  cap: { times: 1, withinSeconds: 3600 },
  verified: 'The policies can be put into force, and every gateway decides by them.',
  undone: 'The policies of before are declared again.',
  fix: (facts) => {
    const revision = valueAt(facts.seen?.state, '/lastGood');
    return hasSymptom(facts, 'PolicyInvalid') && typeof revision === 'string' && revision !== ''
      ? [{ op: 'restorePolicies', object: facts.drift.object, revision }]
      : undefined;
  },
};
