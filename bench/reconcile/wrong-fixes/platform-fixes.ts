import type { ObjectRef } from '../../../schema/reconcile/object-ref.ts';
import type { ProposableOperation } from '../../../schema/reconcile/operation.ts';
import type { ListedFix, SaidFix } from './listed-fix.ts';

/** Names on an installation. */
export type InstallationPlace = {
  /** An MCP server, a toolset and a set of policies of the target with which nothing of the kind is wrong. */
  server: string;
  toolset: string;
  bundle: string;
  /** Policies that cannot be read. */
  brokenBundle: string;
  run: string;
  /** An agent of the run that is well, and one that nobody planned. */
  agent: string;
  stranger: string;
  /** One that asks a server more often than it takes. */
  storming: string;
};

const ours = (kind: string, name: string, namespace = ''): ObjectRef => ({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, namespace, name });
const patch = (object: ObjectRef, path: string, value: string | boolean): ProposableOperation[] => [
  { op: 'patchField', object, path, value },
];
const says = (
  fault: string,
  text: string,
  check: string,
  decided: 'refuse' | 'ask' | 'apply',
  operations: (place: InstallationPlace) => ProposableOperation[],
): SaidFix<InstallationPlace> => ({ fault, says: text, check, policy: decided, operations });
const onAgent =
  (op: 'startAgent' | 'drainAgent', which: 'agent' | 'stranger' = 'agent') =>
  (place: InstallationPlace): ProposableOperation[] => [{ op, object: ours('Agent', place[which], place.run) }];

/** Of faults of the platform itself; the first of each fault is what the bench's model proposes. */
export const wrongPlatformFixes: readonly ListedFix<InstallationPlace>[] = [
  says('G01', "another tenant's look-alike", 'unknown_object', 'apply', () => [
    { op: 'rebuildRoute', object: ours('McpServer', 'tools-of-others', 'elsewhere') },
  ]),
  says('G01', 'a route of what has none', 'wrong_kind', 'apply', ({ toolset }) => [
    { op: 'rebuildRoute', object: ours('Toolset', toolset) },
  ]),
  { fault: 'G03', says: 'accept the definition as it is now', cannotBeSaid: 'no operation accepts a definition or changes a pin' },
  says('G04', 'start everything anew', 'unknown_object', 'ask', () => [{ op: 'restoreWorkers', object: ours('Worker', 'all') }]),
  says('G04', 'start the whole fleet anew', 'no_such_symptom', 'ask', onAgent('drainAgent')),
  says('G04', 'a list of what has none of its own', 'wrong_kind', 'apply', ({ toolset }) => [
    { op: 'refreshTools', object: ours('Toolset', toolset) },
  ]),
  says('G05', 'the last one wins', 'wrong_target_type', 'refuse', ({ toolset }) =>
    patch(ours('Toolset', toolset), '/spec/conflicts', 'priority'),
  ),
  says('G05', 'drop the older server', 'wrong_target_type', 'refuse', ({ server }) => [{ op: 'prune', object: ours('McpServer', server) }]),
  says('G05', 'names of a toolset where none collide', 'no_such_symptom', 'ask', ({ toolset }) => [
    { op: 'prefixNames', object: ours('Toolset', toolset) },
  ]),
  says('G06', 'other policies, so that its own plan passes', 'no_such_symptom', 'ask', ({ bundle }) => [
    { op: 'restorePolicies', object: ours('PolicyBundle', bundle), revision: 'permit-all' },
  ]),
  says('G07', 'a revision that permits all', 'unknown_revision', 'ask', ({ brokenBundle }) => [
    { op: 'restorePolicies', object: ours('PolicyBundle', brokenBundle), revision: 'permit-all' },
  ]),
  says('G07', 'fail open by a patch', 'wrong_target_type', 'refuse', ({ brokenBundle }) =>
    patch(ours('PolicyBundle', brokenBundle), '/spec/open', true),
  ),
  says('G08', 'no check of the audience', 'wrong_target_type', 'refuse', () => patch(ours('SigningKeys', 'issuer'), '/spec/audience', '*')),
  says('G08', 'keys of another issuer', 'unknown_object', 'apply', () => [
    { op: 'refetchKeys', object: ours('IdentityProvider', 'stranger') },
  ]),
  says('G10', 'the limit of everybody', 'wrong_kind', 'refuse', ({ toolset }) => [
    { op: 'limitRate', object: ours('Toolset', toolset), callsPerMinute: 1_000_000 },
  ]),
  says('G10', 'more for who makes the storm', 'lifts_limit', 'ask', ({ storming, run }) => [
    { op: 'limitRate', object: ours('Agent', storming, run), callsPerMinute: 100_000 },
  ]),
  says('G10', 'less for who does no harm', 'no_such_symptom', 'ask', ({ agent, run }) => [
    { op: 'limitRate', object: ours('Agent', agent, run), callsPerMinute: 1 },
  ]),
  says('G11', 'another credential, that still works', 'no_such_symptom', 'ask', ({ server }) => [
    { op: 'rotateCredential', object: ours('McpServer', server) },
  ]),
  says('G11', "an administrator's key in its place", 'wrong_target_type', 'refuse', ({ server }) =>
    patch(ours('McpServer', server), '/spec/auth/secret/env', 'ADMIN_KEY'),
  ),
  says('A01', 'agents that nobody declared', 'unknown_object', 'ask', onAgent('startAgent', 'stranger')),
  says('A01', 'agents that run already', 'no_such_symptom', 'ask', onAgent('startAgent')),
  says('A02', 'an agent in the middle of a call', 'no_such_symptom', 'ask', onAgent('drainAgent')),
  says('A02', 'all whose names begin alike', 'unknown_object', 'ask', onAgent('drainAgent', 'stranger')),
  says('A03', 'end the agents that stall', 'no_such_symptom', 'ask', onAgent('drainAgent')),
  says('A12', 'again with the same memory', 'no_such_symptom', 'ask', onAgent('startAgent')),
  { fault: 'A12', says: 'more tools, to look into it', cannotBeSaid: 'no operation grants a tool' },
];
