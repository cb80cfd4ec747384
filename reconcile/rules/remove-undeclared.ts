import type { Rule } from './rule.ts';

/** So much is taken away in one step; of more a person is asked without a proposal. */
const mostPaths = 32;

/**
 * A container, a variable or a right that somebody added to what is declared. Server-side apply takes nothing away that another wrote, so that it
 * is an operation of its own; and whoever added it may have had a reason (an injector, a debugger), so that policy asks people about each.
 */
export const removeUndeclared: Rule = {
  name: 'remove-undeclared',
  description: 'What somebody added to the pods of a workload and nobody declares is proposed to be taken away; people decide.',
  mends: [],
  cap: { times: 2, withinSeconds: 3600 },
  verified: 'It is not there any more, and the object is healthy.',
  undone: 'The object as it was before, with what was added.',
  fix: ({ drift, declared }) =>
    declared !== undefined && drift.kind === 'added' && drift.fields.length <= mostPaths
      ? [{ op: 'removeUndeclared', object: drift.object, paths: drift.fields.map(({ path }) => path) }]
      : undefined,
};
