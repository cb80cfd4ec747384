import type { Client } from '@temporalio/client';
import type { GatewayClient } from '../../activities/gateway-client.ts';
import type { ActivityCollaborators } from '../../activities/index.ts';
import { createFixDecider } from '../../activities/reconcile-decide.ts';
import { createLearnFromFix } from '../../activities/reconcile-learn.ts';
import { createTargetPorts } from '../../activities/targets/target-ports.ts';
import { newDecisionId } from '../../control/api/new-decision-id.ts';
import { createPolicyKeeper } from '../../gateway/keep-policies.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { createApprovalAsks } from '../../store/ask-approval.ts';
import { createAuditLog } from '../../store/audit-log.ts';
import type { ContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import { openSealRing } from '../../store/seal-ring.ts';
import { createPolicyVerifier } from '../../store/secrets/policy-signature.ts';
import { openSecretStores } from '../../store/secrets/secret-stores.ts';
import { watchDeclared } from '../../store/watch-declared.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { lookupKeychain } from './ask-keychain.ts';
import type { ApplyConfig } from './process-configs.ts';

/**
 * What the pool `apply` works with, and nobody else has: the way to what is kept, by secret reference; the policies that decide about fixes, kept
 * up to date; and approvals.
 */
export const openReconcilePool = async (
  config: ApplyConfig,
  {
    database,
    contents,
    gateway,
    temporal,
    logger,
  }: { database: Database; contents: ContentStore; gateway: GatewayClient; temporal: Client; logger: Logger },
): Promise<{ reconcile: NonNullable<ActivityCollaborators['reconcile']>; close(): Promise<void> }> => {
  const people = await openSealRing({ database, name: 'people', master: config.auditKey, logger });
  const approvals = await openSealRing({ database, name: 'approvals', master: config.approvalKey, logger });
  const audit = createAuditLog({ database, process: 'worker', key: config.auditKey, peopleKeys: people.keys('audit-people') });
  const stores = openSecretStores(config.secretStores, lookupKeychain);
  const cluster = config.secretStores.kubernetes;
  const ownCluster = cluster && 'server' in cluster ? cluster : undefined;
  const engine = createPolicyEngine({ name: 'fixes' });
  const keeper = createPolicyKeeper({ policy: engine, verify: createPolicyVerifier(config.policyPublicKey), logger });
  const watch = await watchDeclared({ database, logger, onChange: keeper.take });
  const decider = createFixDecider({ database, engine, audit, mayApproveOwn: config.mayApproveOwn, newDecisionId });
  const ports = createTargetPorts({
    ...{ secrets: { ...config.secrets, stores }, ownCluster },
    platform: {
      ...{ database, temporal, verifyPolicies: createPolicyVerifier(config.policyPublicKey) },
      ...(config.patience ? { patience: config.patience } : {}),
    },
    // seen and changed on behalf of who declared it, as far as that person may use the role
    mcp: { database, contents, calls: gateway, authorise: decider.authoriseDiagnosis },
  });
  return {
    reconcile: {
      ...{ audit, ports, decider },
      approvals: createApprovalAsks(database, audit, approvals.keys('approvals')),
      learn: createLearnFromFix({ database, audit, newDecisionId }),
      clock: () => new Date(),
    },
    close: async () => {
      await watch.close();
      keeper.close();
      await ports.close();
      await stores.close();
      await audit.close().catch(() => undefined);
      await Promise.all([people.close(), approvals.close()]);
    },
  };
};
