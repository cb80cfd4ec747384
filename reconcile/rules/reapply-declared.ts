import type { Rule } from './rule.ts';

/** K01, K02, K08: what was deleted or edited by hand is again what was declared. */
export const reapplyDeclared: Rule = {
  name: 'reapply-declared',
  description: 'What is missing or differs is applied again as it was declared.',
  cap: { times: 3, withinSeconds: 3600 },
  fix: ({ drift, declared }) =>
    declared !== undefined && (drift.kind === 'missing' || drift.kind === 'changed')
      ? [{ op: 'reapply', object: drift.object }]
      : undefined,
};
