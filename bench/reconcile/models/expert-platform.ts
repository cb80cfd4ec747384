import type { ObjectRef } from '../../../schema/reconcile/object-ref.ts';
import type { ProposableOperation } from '../../../schema/reconcile/operation.ts';
import type { Proposal } from '../../../schema/reconcile/plan.ts';
import type { Evidence } from './read-evidence.ts';

type Bare = Extract<
  ProposableOperation,
  {
    op:
      | 'rebuildRoute'
      | 'refreshTools'
      | 'quarantineTool'
      | 'prefixNames'
      | 'reloadPolicies'
      | 'refetchKeys'
      | 'startAgent'
      | 'drainAgent'
      | 'suspendAgent'
      | 'restoreWorkers';
  }
>['op'];

/** What a symptom of the platform's own asks for, where the evidence says all that there is to say. */
const bySymptom: Readonly<Record<string, [diagnosis: string, confidence: number, op: Bare]>> = {
  RouteBroken: ['Its server is there, and the gateway has given it up.', 0.9, 'rebuildRoute'],
  ToolListStale: ['The gateway goes by a list that it has not looked at for long.', 0.9, 'refreshTools'],
  DefinitionChanged: ['It is not what people approved: nobody uses it until they have looked.', 0.9, 'quarantineTool'],
  NameCollision: ['Two servers give one name, and prefixes tell them apart.', 0.85, 'prefixNames'],
  PolicyMismatch: ['A gateway has not heard of the newest policies.', 0.9, 'reloadPolicies'],
  KeysUnknown: ['The gateway could not fetch the keys of the issuer.', 0.9, 'refetchKeys'],
  AgentMissing: ['The run counts on it, and its workflow is gone.', 0.9, 'startAgent'],
  AgentOrphaned: ['Nothing declares it any more, and its workflow runs.', 0.9, 'drainAgent'],
  OddEgress: ['It does what it has read tells it to: it is stopped, and people look.', 0.9, 'suspendAgent'],
  NoPollers: ['Nobody works at its queue.', 0.9, 'restoreWorkers'],
};

/** `Kind/name` or `Kind/namespace/name`, in which a name of an agent has slashes and begins behind that of its run. */
const objectOf = (written: string): ObjectRef => {
  const [kind = '', ...rest] = written.split('/');
  const hasNamespace = rest.length > 1;
  return {
    apiVersion: 'quarterdeck.dev/v1alpha1',
    kind,
    namespace: hasNamespace ? (rest[0] as string) : '',
    name: (hasNamespace ? rest.slice(1) : rest).join('/'),
  };
};

/** What somebody who runs the platform would propose; undefined where the evidence is of something else. */
export const expertOfPlatform = (evidence: Evidence): Proposal | undefined => {
  const object = objectOf(evidence.object);
  for (const text of evidence.symptoms) {
    const code = /^\w+/.exec(text)?.[0] ?? '';
    const known = bySymptom[code];
    if (known) return { diagnosis: known[0], confidence: known[1], operations: [{ op: known[2], object }] };
    // as often as it answered lately is too often: half of that
    const answered = /answered (\d+)\b/.exec(text)?.[1];
    if (code === 'CallerStorm' || code === 'BackendThrottled')
      return {
        diagnosis: 'It is asked more often than it answers: whoever asks most is held to less.',
        confidence: 0.85,
        operations: [{ op: 'limitRate', object, callsPerMinute: Math.max(6, Math.floor(Number(answered ?? 0) / 2)) }],
      };
    if (code === 'CredentialExpired')
      return {
        diagnosis: 'The server does not take what it is sent, and another one from its issuer did not help.',
        confidence: 0.7,
        operations: [{ op: 'askOwner', object, question: 'The server refuses our credential. Can you renew it where it is kept?' }],
      };
    const revision = evidence.seen?.lastGood;
    if (code === 'PolicyInvalid' && typeof revision === 'string' && revision !== '')
      return {
        diagnosis: 'The policies cannot be read; the last that could be are known.',
        confidence: 0.9,
        operations: [{ op: 'restorePolicies', object, revision }],
      };
  }
  return undefined;
};
