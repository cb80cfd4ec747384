import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import { valueAt } from '../json-pointer.ts';
import type { CheckFacts, Fault } from './check-facts.ts';

type Bound = { kinds: readonly string[]; mends?: readonly string[] };

/** On what an operation of this installation works, and which symptom has to be seen there: it is no cure for anything else. */
const bounds: Partial<Record<ProposableOperation['op'], Bound>> = {
  refreshTools: { kinds: ['McpServer'] },
  rebuildRoute: { kinds: ['McpServer'] },
  quarantineTool: { kinds: ['Tool', 'Prompt', 'ResourceTemplate'], mends: ['DefinitionChanged'] },
  prefixNames: { kinds: ['Toolset'], mends: ['NameCollision'] },
  reloadPolicies: { kinds: ['PolicyBundle'] },
  restorePolicies: { kinds: ['PolicyBundle'], mends: ['PolicyInvalid'] },
  refetchKeys: { kinds: ['SigningKeys', 'IdentityProvider'] },
  limitRate: { kinds: ['Agent', 'McpServer'], mends: ['CallerStorm', 'BackendThrottled'] },
  rotateCredential: { kinds: ['McpServer'], mends: ['CredentialExpired'] },
  startAgent: { kinds: ['Agent'], mends: ['AgentMissing'] },
  drainAgent: { kinds: ['Agent'], mends: ['AgentOrphaned'] },
  suspendAgent: { kinds: ['Agent'] },
  restoreWorkers: { kinds: ['Worker'], mends: ['NoPollers'] },
};

/** The kinds of things that an operation of this installation is for; undefined where it is for none of its things alone. */
export const kindsOf = (op: ProposableOperation['op']): readonly string[] | undefined => bounds[op]?.kinds;

/** What the operations of this installation may be done to. */
export const checkPlatform = (operation: ProposableOperation, facts: CheckFacts): Fault => {
  const { op, object } = operation;
  const bound = bounds[op];
  if (bound === undefined) return undefined;
  if (!bound.kinds.includes(object.kind))
    return { code: 'wrong_kind', message: `${op} is for ${bound.kinds.join(' or ')}, not for a ${object.kind}.` };
  const seen = facts.seen(object);
  if (bound.mends !== undefined && seen?.symptoms.some(({ code }) => bound.mends?.includes(code)) !== true)
    return {
      code: 'no_such_symptom',
      message: `${op} mends ${bound.mends.join(' or ')}, which ${object.kind} ${object.name} does not show.`,
    };
  if (operation.op === 'restorePolicies' && operation.revision !== valueAt(seen?.state, '/lastGood'))
    return {
      code: 'unknown_revision',
      message: `Revision ${operation.revision} is not the last good one: no other is put into force by a fix.`,
    };
  const limit = valueAt(seen?.state, '/callsPerMinute');
  if (operation.op === 'limitRate' && typeof limit === 'number' && operation.callsPerMinute > limit)
    return { code: 'lifts_limit', message: `${object.name} may call ${limit} times a minute: a fix never makes it more.` };
  return undefined;
};
