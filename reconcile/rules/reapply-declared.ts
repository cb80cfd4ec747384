import type { Rule } from './rule.ts';

/** K01, K02, K08: what was deleted or edited by hand is again what was declared. */
export const reapplyDeclared: Rule = {
  name: 'reapply-declared',
  description: 'What is missing or differs is applied again as it was declared.',
  mends: ['K01', 'K02', 'K08', 'K11'],
  cap: { times: 3, withinSeconds: 3600 },
  verified: 'It is as declared and healthy.',
  undone: 'As it was before, or taken away where it was not there.',
  fix: ({ drift, declared }) =>
    declared !== undefined && (drift.kind === 'missing' || drift.kind === 'changed')
      ? [{ op: 'reapply', object: drift.object }]
      : undefined,
};
