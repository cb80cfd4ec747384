import type { Rule } from './rule.ts';

/** What we made and nobody declares any more; data is never pruned by a rule. */
const keptKinds: ReadonlySet<string> = new Set([
  'PersistentVolumeClaim',
  'PersistentVolume',
  'Secret',
  'Namespace',
  'StatefulSet',
  'CustomResourceDefinition',
]);

export const pruneUndeclared: Rule = {
  name: 'prune-undeclared',
  description: 'What we made and is declared no more is deleted, but for what holds data.',
  mends: [],
  cap: { times: 2, withinSeconds: 3600 },
  verified: 'It is gone.',
  undone: 'It is made again from its kept state.',
  fix: ({ drift, seen }) =>
    drift.kind === 'extra' && seen?.isOurs === true && !keptKinds.has(drift.object.kind)
      ? [{ op: 'prune', object: drift.object }]
      : undefined,
};
