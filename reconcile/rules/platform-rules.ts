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

type Cure = { name: string; mends: string; description: string; code: string; op: Bare; times?: number; undone?: string };

/** One symptom of this installation, one operation that says no more than its object. */
const cure = ({
  name,
  mends,
  description,
  code,
  op,
  times = 2,
  undone = 'Nothing is: it leads back to what is declared.',
}: Cure): Rule => ({
  ...{ name, description, mends: [mends], undone },
  cap: { times, withinSeconds: 3600 },
  verified: `The symptom ${code} is gone for the hold time.`,
  fix: (facts) => (hasSymptom(facts, code) ? [{ op, object: facts.drift.object }] : undefined),
});

/** The faults of the gateway (G) and of agents (A) that one symptom tells and one operation mends. */
export const platformRules: readonly Rule[] = [
  {
    ...{ name: 'rebuild-route', mends: 'G01', code: 'RouteBroken', op: 'rebuildRoute' },
    description: 'A route to a backend that is gone is built anew from what is declared.',
  },
  {
    ...{
      name: 'quarantine-tool',
      mends: 'G03',
      code: 'DefinitionChanged',
      op: 'quarantineTool',
      times: 1,
      undone: 'The tool is as it was before.',
    },
    description: 'A tool that is not as pinned is quarantined; people approve its new definition.',
  },
  {
    ...{ name: 'refresh-tools', mends: 'G04', code: 'ToolListStale', op: 'refreshTools' },
    description: 'A stale list of tools is read again and held against its pins.',
  },
  {
    ...{ name: 'prefix-names', mends: 'G05', code: 'NameCollision', op: 'prefixNames', times: 1, undone: 'The names of before.' },
    description: 'Two servers with one name of a tool get prefixes.',
  },
  {
    ...{ name: 'reload-policies', mends: 'G06', code: 'PolicyMismatch', op: 'reloadPolicies' },
    description: 'A gateway that decides by other policies loads the declared ones.',
  },
  {
    ...{ name: 'refetch-keys', mends: 'G08', code: 'KeysUnknown', op: 'refetchKeys', times: 5 },
    description: 'Keys of an issuer are fetched again; what is checked of a token stays.',
  },
  {
    ...{
      name: 'rotate-credential',
      mends: 'G11',
      code: 'CredentialExpired',
      op: 'rotateCredential',
      undone: 'Nothing is: the one before had run out.',
    },
    description: 'An upstream credential that ran out is rotated through the broker.',
  },
  {
    ...{
      name: 'start-agent',
      mends: 'A01',
      code: 'AgentMissing',
      op: 'startAgent',
      times: 3,
      undone: 'The agent that was started is taken away, by its own id.',
    },
    description: 'An agent that should run and does not is started, under its own id.',
  },
  {
    ...{ name: 'drain-agent', mends: 'A02', code: 'AgentOrphaned', op: 'drainAgent', undone: 'Nothing is: nobody declares it.' },
    description: 'An agent that nothing declares is drained, by its exact id.',
  },
  {
    ...{ name: 'restore-workers', mends: 'A03', code: 'NoPollers', op: 'restoreWorkers' },
    description: 'Workers of a queue that nobody polls are brought back.',
  },
  {
    ...{ name: 'suspend-looping-agent', mends: 'A07', code: 'AgentLooping', op: 'suspendAgent', times: 1, undone: 'The agent goes on.' },
    description: 'An agent that repeats one call without progress is suspended.',
  },
  {
    ...{ name: 'suspend-hijacked-agent', mends: 'A12', code: 'OddEgress', op: 'suspendAgent', times: 1, undone: 'The agent goes on.' },
    description: 'An agent that obeys what a tool told it is suspended with its evidence; people decide what becomes of it.',
  },
].map((one) => cure(one as Cure));
