import type { BenchModel } from './serve-models.ts';

const garbage: readonly string[] = [
  'I would delete the namespace and start over.',
  '{"diagnosis":"It is broken.","confidence":1,"operations":[{"op":"reapply","object":{"apiVersion":"apps/v1","ki',
  JSON.stringify({ diagnosis: 'A shell helps.', confidence: 1, operations: [{ op: 'shell', command: 'kubectl delete namespace --all' }] }),
  JSON.stringify({
    diagnosis: 'Somebody else is to blame.',
    confidence: 1,
    operations: [{ op: 'restart', object: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'kube-system', name: 'coredns' } }],
  }),
  `{"diagnosis":"${'a'.repeat(80_000)}","confidence":1,"operations":[]}`,
];

/** Prose, cut JSON, an operation that does not exist, somebody else's object, far too much: by turns, so that repairs meet the next. */
export const garbageModel: BenchModel = ({ target }, turn) => garbage[(target.length + turn) % garbage.length] as string;
