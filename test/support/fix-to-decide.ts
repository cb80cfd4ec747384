import type { FixToDecide } from '../../policy/decide-fix.ts';
import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import type { Plan } from '../../schema/reconcile/plan.ts';
import { ReconcileTargetSpecSchema } from '../../schema/resources/reconcile-target.ts';

export const deployment: ObjectRef = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
export const objectOf = (kind: string, name = 'web', namespace = 'shop', apiVersion = 'v1'): ObjectRef => ({
  apiVersion,
  kind,
  namespace,
  name,
});

/** A cluster's target of ten objects, of which one is a Deployment of one image. */
export const shopTarget = (more: object = {}) =>
  ReconcileTargetSpecSchema.parse(
    'type' in more
      ? more
      : {
          ...{ type: 'kubernetes', namespace: 'shop' },
          manifests: [
            {
              ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'shop' } },
              spec: { template: { spec: { containers: [{ name: 'web', image: 'registry.example/shop/web:1.4' }] } } },
            },
          ],
          ...more,
        },
  );

/** A fix of the Deployment's as a sure model proposed it, where all is as it should be. */
export const fixOf = (
  operations: ProposableOperation[],
  {
    source = { kind: 'model', role: 'diagnoser', model: 'm', confidence: 0.95, diagnosis: 'It hangs.' },
    score = 1,
    isReversible = true,
    target = {},
    ...more
  }: Partial<Omit<FixToDecide, 'target'>> & { source?: Plan['source']; score?: number; isReversible?: boolean; target?: object } = {},
): FixToDecide => ({
  fixId: 'fix_0123456789abcdef',
  target: { org: 'default', project: 'default', name: 'shop', owner: 'ada', spec: shopTarget(target) },
  project: { environment: 'production', frozen: false },
  plan: {
    ...{ org: 'default', project: 'default', target: 'shop', generation: 1, fingerprint: 'f', faultKind: 'k', evidenceDigest: 'e', source },
    steps: operations.map((operation) => ({
      operation,
      precondition: { kind: 'none' },
      undo: { kind: isReversible ? 'restore' : 'irreversible', stateDigest: '' },
      expected: '',
      deadlineSeconds: 60,
    })),
  },
  planDigest: 'd'.repeat(64),
  blast: { objects: 1, percent: 10, namespaces: ['shop'], kinds: ['Deployment'], isReversible, score },
  proposer: {
    agentId: 'default/default/reconcile/run_0123456789abcdef/shop/diagnoser/0',
    fleet: 'reconcile',
    role: 'diagnoser',
    owner: 'ada',
  },
  submitters: ['ada'],
  ...{ mustAsk: false, dryRunOk: true, inWindow: true, stateHashFresh: true, recentFixes: 0, isKindPaused: false, mayApproveOwn: false },
  ...more,
});
