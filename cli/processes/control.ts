import { startApi } from '../../control/api/start-api.ts';
import { createTemporalPort } from '../../control/api/temporal-port.ts';
import { startController } from '../../control/controller/start-controller.ts';
import { startDevIdp } from '../../control/dev-idp/start-dev-idp.ts';
import { startIssuer } from '../../control/issuer/start-issuer.ts';
import { createContentStore } from '../../store/contents.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { createPolicySigner, createPolicyVerifier, policyPublicKey } from '../../store/secrets/policy-signature.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { createAgentDirectory } from './agent-directory.ts';
import { createApiPolicy } from './api-policy.ts';
import { createDevPeople } from './dev-people.ts';
import type { RunningProcess } from './messages.ts';
import type { ProcessConfigs } from './process-configs.ts';

const sweepIntervalMs = 5_000;

/** The issuer, the login provider of this machine, the api and the controller in one process, each with what it needs and no more. */
export const startControlProcess = async (config: ProcessConfigs['control'], logger: Logger): Promise<RunningProcess> => {
  const clock = (): Date => new Date();
  const database = openDatabase({ url: config.databaseUrl, max: 12, name: 'control' });
  const temporal = createTemporalPort({ address: config.temporalAddress, namespace: config.temporalNamespace });
  const policy = await createApiPolicy({ database, verifyPolicies: createPolicyVerifier(policyPublicKey(config.policySecret)), logger });
  const issuer = await startIssuer(config.issuer, {
    agents: createAgentDirectory(database),
    database,
    logger: logger.child({ part: 'issuer' }),
  });
  const devIdp =
    config.devIdp &&
    (await startDevIdp(config.devIdp, { people: createDevPeople(database, clock), logger: logger.child({ part: 'dev-idp' }) }));
  const api = await startApi(config.api, {
    database,
    contentStore: createContentStore(database, deriveContentKeys(config.contentKey, 'content')),
    approvalKeys: deriveContentKeys(config.approvalKey, 'approvals'),
    temporal,
    authorize: policy.authorize,
    validatePolicies: policy.validatePolicies,
    signPolicies: createPolicySigner(config.policySecret),
    logger: logger.child({ part: 'api' }),
    clock,
  });
  const controller = startController({
    database,
    temporal,
    clock,
    intervalMs: sweepIntervalMs,
    logger: logger.child({ part: 'controller' }),
  });
  return {
    close: async () => {
      await Promise.all([api.close(), issuer.close(), devIdp?.close(), controller.close()]);
      await policy.close();
      await temporal.close();
      await closeDatabase(database);
    },
  };
};
