import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import type { TargetType } from '../../schema/resources/reconcile-target.ts';

type Op = ProposableOperation['op'];

/** In which kind of target an operation has a meaning. A new operation does not compile before it has a home. */
export const operationHomes: Readonly<Record<Op, TargetType | 'any'>> = {
  reapply: 'kubernetes',
  setImage: 'kubernetes',
  patchField: 'kubernetes',
  removeUndeclared: 'kubernetes',
  scale: 'kubernetes',
  restart: 'kubernetes',
  setResources: 'kubernetes',
  setProbe: 'kubernetes',
  setSecretKey: 'kubernetes',
  refreshSecret: 'kubernetes',
  addEgressRule: 'kubernetes',
  addRoleRule: 'kubernetes',
  createClaim: 'kubernetes',
  reviveController: 'kubernetes',
  prune: 'kubernetes',
  refreshTools: 'platform',
  rebuildRoute: 'platform',
  quarantineTool: 'platform',
  prefixNames: 'platform',
  reloadPolicies: 'platform',
  restorePolicies: 'platform',
  refetchKeys: 'platform',
  limitRate: 'platform',
  rotateCredential: 'platform',
  startAgent: 'platform',
  drainAgent: 'platform',
  suspendAgent: 'platform',
  restoreWorkers: 'platform',
  act: 'mcp',
  addIgnoreRule: 'any',
  wait: 'any',
  askOwner: 'any',
  nothing: 'any',
};
