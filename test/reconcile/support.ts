import type { TargetOf } from '../../reconcile/target-port.ts';
import type { Desired, Observation, ObservedObject } from '../../schema/reconcile/observation.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import type { Plan } from '../../schema/reconcile/plan.ts';
import { ReconcileTargetSpecSchema } from '../../schema/resources/reconcile-target.ts';

export const now = Date.parse('2026-11-30T12:00:00Z');
export const web = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
export const declaredWeb = {
  spec: {
    replicas: 2,
    template: {
      spec: {
        containers: [
          { name: 'app', image: 'registry.example/shop/web:1', resources: { limits: { memory: '100Mi' } }, ports: [{ containerPort: 80 }] },
        ],
      },
    },
  },
};
export const targetOf = (more: Record<string, unknown> = {}): TargetOf => ({
  org: 'default',
  project: 'default',
  name: 'shop',
  generation: 1,
  spec: ReconcileTargetSpecSchema.parse({ type: 'kubernetes', namespace: 'shop', manifests: [], ...more }),
});
export const objectOf = (more: Partial<ObservedObject> = {}): ObservedObject => ({
  ref: web,
  uid: 'u1',
  version: '1',
  hash: 'h1',
  state: structuredClone(declaredWeb),
  health: 'healthy',
  symptoms: [],
  owners: [],
  isOurs: true,
  deletingSince: '',
  ...more,
});
export const seen = (...objects: ObservedObject[]): Observation => ({ status: 'read', at: '', objects, neighbours: [] });
export const desired: Desired = { status: 'read', digest: 'd', objects: [{ ref: web, state: declaredWeb, wave: 0 }] };
export const planOf = (...operations: ProposableOperation[]): Plan => ({
  org: 'default',
  project: 'default',
  target: 'shop',
  generation: 1,
  fingerprint: 'f',
  faultKind: 'k',
  evidenceDigest: '',
  source: { kind: 'model', role: 'r', model: 'm', confidence: 1, diagnosis: 'd' },
  steps: operations.map((operation) => ({
    operation,
    precondition: operation.object.name === 'web' ? { kind: 'version', version: '1', hash: 'h1', uid: 'u1' } : { kind: 'absent' },
    undo: { kind: 'restore', stateDigest: 's' },
    expected: '',
    deadlineSeconds: 60,
  })),
});
