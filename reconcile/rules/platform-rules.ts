import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import { hasSymptom, type Rule } from './rule.ts';

type Bare = Extract<
  ProposableOperation,
  {
    op:
      | 'refreshTools'
      | 'rebuildRoute'
      | 'quarantineTool'
      | 'prefixNames'
      | 'reloadPolicies'
      | 'refetchKeys'
      | 'rotateCredential'
      | 'startAgent'
      | 'drainAgent'
      | 'suspendAgent'
      | 'restoreWorkers';
  }
>['op'];

/** One symptom of this installation, one operation that says no more than its object. */
const mends = (name: string, description: string, code: string, op: Bare, times = 2): Rule => ({
  name,
  description,
  cap: { times, withinSeconds: 3600 },
  fix: (facts) => (hasSymptom(facts, code) ? [{ op, object: facts.drift.object }] : undefined),
});

/** The faults of the gateway (G) and of agents (A) that the drift contract can say and code can mend. */
export const platformRules: readonly Rule[] = [
  mends('rebuild-route', 'G01: a route to a backend that is gone is rebuilt from the registry.', 'RouteBroken', 'rebuildRoute'),
  mends(
    'quarantine-tool',
    'G03: a tool that is not as pinned is quarantined; people approve its new definition.',
    'DefinitionChanged',
    'quarantineTool',
    1,
  ),
  mends('refresh-tools', 'G04: a stale list of tools is read again and held against its pins.', 'ToolListStale', 'refreshTools'),
  mends('prefix-names', 'G05: two servers with one name of a tool get prefixes.', 'NameCollision', 'prefixNames', 1),
  mends('reload-policies', 'G06: the declared set of policies is loaded again.', 'PolicyMismatch', 'reloadPolicies'),
  mends('refetch-keys', 'G08: keys of an issuer are fetched again; what is checked of a token stays.', 'KeysUnknown', 'refetchKeys', 5),
  mends(
    'rotate-credential',
    'G11: an upstream credential that ran out is rotated through the broker.',
    'CredentialExpired',
    'rotateCredential',
  ),
  mends('start-agent', 'A01: an agent that should run and does not is started, under its own id.', 'AgentMissing', 'startAgent', 3),
  mends('drain-agent', 'A02: an agent that nothing declares is drained, by its exact id.', 'AgentOrphaned', 'drainAgent'),
  mends('restore-workers', 'A03: workers of a queue that nobody polls are brought back.', 'NoPollers', 'restoreWorkers'),
  mends('suspend-looping-agent', 'A07: an agent that repeats one call without progress is suspended.', 'AgentLooping', 'suspendAgent', 1),
];
