import type { ApprovedFix } from '../../../reconcile/learning/judge-repeats.ts';
import { fixIdFrom } from '../../../schema/ids.ts';
import type { ProposableOperation } from '../../../schema/reconcile/operation.ts';
import type { Plan } from '../../../schema/reconcile/plan.ts';

export const probesMoved = 'unhealthy Deployment ProbeFailed';
export const probeOf = (name: string): Extract<ProposableOperation, { op: 'setProbe' }> => ({
  op: 'setProbe',
  object: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name },
  container: 'app',
  probe: 'readiness',
  port: 8080,
});

/** One fix of a readiness probe that a model proposed and people approved, and that held. */
export const approvedFix = ({
  name,
  target = 'shop',
  people = ['ann'],
  state = 'fixed',
  operations = [probeOf(name)],
  source = { kind: 'model', role: 'medic', model: 'm', confidence: 0.9, diagnosis: 'The port moved.' },
}: {
  name: string;
  target?: string;
  people?: string[];
  state?: ApprovedFix['state'];
  operations?: ProposableOperation[];
  source?: Plan['source'];
}): ApprovedFix => {
  const fingerprint = `${probesMoved} @ apps/Deployment/shop/${name}`;
  const place = { org: 'default', project: 'default', target };
  return {
    ...place,
    id: fixIdFrom(crypto.getRandomValues(new Uint8Array(10))),
    fingerprint,
    faultKind: probesMoved,
    state,
    plan: {
      ...place,
      generation: 1,
      fingerprint,
      faultKind: probesMoved,
      evidenceDigest: '',
      source,
      steps: operations.map((operation) => ({
        operation,
        precondition: { kind: 'version', version: '1', hash: 'h', uid: 'u' },
        undo: { kind: 'restore', stateDigest: 's' },
        expected: '',
        deadlineSeconds: 60,
      })),
    },
    planDigest: 'p',
    normalDigest: 'same',
    faults: [],
    evidenceDigest: '',
    approvalId: null,
    writers: [],
    decisionId: null,
    policyVersion: null,
    costMicroUsd: 0,
    review: null,
    seenDigest: '',
    endsAs: null,
    modelCalls: 1,
    message: '',
    beganAt: '2026-11-30T12:00:00.000Z',
    endedAt: '2026-11-30T12:05:00.000Z',
    approvers: people,
  };
};
