import { isGuardedField } from '../check/guarded-fields.ts';
import { isRuleFix } from '../past-fix.ts';
import type { Rule } from './rule.ts';

const mostFields = 4;

/**
 * K15: a field that somebody else writes anew whenever it is put back (a webhook at each admission) is not fought over. That it be ignored is
 * only proposed: policy asks people about every ignore rule. Guards and much of an object
 * are not proposed to be ignored: people are asked without a proposal.
 */
export const ignoreRewrittenField: Rule = {
  name: 'ignore-rewritten-field',
  description: 'A field that is written anew each time it is put back is proposed to be ignored; people decide.',
  mends: ['K15'],
  cap: { times: 1, withinSeconds: 86_400 },
  verified: 'The field is no drift any more, and the object is healthy.',
  undone: 'The ignore rule ends with the fix.',
  after: ['ineffective', 'contested'],
  fix: ({ drift, earlier }) => {
    const wasPutBack = earlier.some((fix) => isRuleFix(fix) && fix.plan?.steps.some(({ operation }) => operation.op === 'reapply'));
    if (drift.kind !== 'changed' || !wasPutBack || drift.fields.length > mostFields) return undefined;
    if (drift.fields.some(({ path }) => isGuardedField(path))) return undefined;
    return drift.fields.map(({ path }) => ({ op: 'addIgnoreRule', object: drift.object, path }));
  },
};
