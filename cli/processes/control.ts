import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { createTargetPorts } from '../../activities/targets/target-ports.ts';
import { createRegoCompiler } from '../../control/api/compile-rego.ts';
import { newDecisionId } from '../../control/api/new-decision-id.ts';
import { startApi } from '../../control/api/start-api.ts';
import { createTemporalPort } from '../../control/api/temporal-port.ts';
import { startController } from '../../control/controller/start-controller.ts';
import { startDevIdp } from '../../control/dev-idp/start-dev-idp.ts';
import { rotateSigningKeys } from '../../control/issuer/rotate-signing-keys.ts';
import { startIssuer } from '../../control/issuer/start-issuer.ts';
import { createChannelNetwork } from '../../control/notify/channel-fetch.ts';
import { startNotify } from '../../control/notify/start-notify.ts';
import type { ProcessReport } from '../../schema/process-report.ts';
import { checkpointFile } from '../../store/audit-checkpoint-file.ts';
import { createCheckpointer, keepCheckpoints } from '../../store/audit-checkpoints.ts';
import { createAuditSigner } from '../../store/audit-key.ts';
import { createAuditLog } from '../../store/audit-log.ts';
import { createRefusalCounter } from '../../store/audit-refusals.ts';
import { verifyAudit } from '../../store/audit-verify.ts';
import { createContentStore } from '../../store/contents.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { followOrders } from '../../store/follow-orders.ts';
import { keepSealed } from '../../store/keep-sealed.ts';
import { listRootKeys } from '../../store/list-root-keys.ts';
import { measureReconciler } from '../../store/reconcile-measures.ts';
import { openSealRing } from '../../store/seal-ring.ts';
import { createPolicySigner, createPolicyVerifier, policyPublicKey } from '../../store/secrets/policy-signature.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { openSecretStores } from '../../store/secrets/secret-stores.ts';
import { watchRefusedKeys } from '../../store/watch-refused-keys.ts';
import { createWorkerKeys } from '../../store/worker-keys.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { registerReconcileMetrics } from '../../telemetry/reconcile-metrics.ts';
import { findOpa } from '../setup/find-opa.mjs';
import { createAgentDirectory } from './agent-directory.ts';
import { createApiPolicy } from './api-policy.ts';
import { askForWorkers } from './ask-for-workers.ts';
import { lookupKeychain } from './ask-keychain.ts';
import { createDevPeople } from './dev-people.ts';
import type { ProcessTelemetry, RunningProcess } from './messages.ts';
import type { ProcessConfigs } from './process-configs.ts';

const sweepIntervalMs = 5_000;
const notifyIntervalMs = 2_000;
/** What an intruder with the database's own rights could still replace unseen is no older. */
const checkpointIntervalMs = 10_000;

/** The issuer, the login provider of this machine, the api and the controller in one process, each with what it needs and no more. */
export const startControlProcess = async (
  config: ProcessConfigs['control'],
  logger: Logger,
  { metrics }: ProcessTelemetry,
): Promise<RunningProcess> => {
  const clock = (): Date => new Date();
  const database = openDatabase({ url: config.databaseUrl, max: 12, name: 'control' });
  const temporal = createTemporalPort({ address: config.temporalAddress, namespace: config.temporalNamespace });
  const people = await openSealRing({ database, name: 'people', master: config.auditKey, logger });
  const approvals = await openSealRing({ database, name: 'approvals', master: config.approvalKey, logger });
  const rings = [people, approvals];
  const grantKey = config.issuer.backends?.grantKey;
  const grants = grantKey === undefined ? undefined : await openSealRing({ database, name: 'grants', master: grantKey, logger });
  if (grants) rings.push(grants);
  const rewraps = [people, ...(grants ? [grants] : [])].map((ring) => keepSealed({ database, ring, logger }));
  const audit = createAuditLog({ database, process: 'control', key: config.auditKey, peopleKeys: people.keys('audit-people') });
  const signer = createAuditSigner(config.auditSigningKey);
  const sink = checkpointFile(config.checkpointFile);
  const unknownCallers = createRefusalCounter({ write: (events) => audit.append(database, events), newDecisionId });
  const stores = openSecretStores(config.secretStores, lookupKeychain);
  const secrets = { ...config.secrets, stores };
  const channelNetwork = createChannelNetwork({ allowsLoopback: config.api.profile !== 'production' });
  const policy = await createApiPolicy({
    database,
    profile: config.api.profile,
    clock: () => new Date(),
    verifyPolicies: createPolicyVerifier(policyPublicKey(config.policySecret)),
    compileRego: createRegoCompiler({ findProgram: () => config.opaProgram ?? findOpa() }),
    logger,
  });
  const { people: logins, backends } = config.issuer;
  const issuerConfig = {
    ...config.issuer,
    ...(logins ? { people: { ...logins, secrets: { ...logins.secrets, stores } } } : {}),
    ...(backends
      ? { backends: { ...backends, ...(grants ? { keysFor: grants.keys } : {}), secrets: { ...backends.secrets, stores } } }
      : {}),
  };
  const rotatingKeys = await rotateSigningKeys({
    database,
    sealingKey: config.signingKeysSeal,
    first: config.issuer.signingKeys[0],
    logger: logger.child({ part: 'issuer' }),
  });
  const refusedKeys = await watchRefusedKeys({ database, logger });
  const issuer = await startIssuer(issuerConfig, {
    agents: createAgentDirectory({ database, mayUse: policy.mayUse }),
    audit,
    workerKeys: createWorkerKeys(database),
    database,
    unknownCallers,
    logger: logger.child({ part: 'issuer' }),
    rotatingKeys,
  });
  const devIdp =
    config.devIdp &&
    (await startDevIdp(config.devIdp, { people: createDevPeople(database, clock), logger: logger.child({ part: 'dev-idp' }) }));
  const contentStore = createContentStore(database, deriveContentKeys(config.contentKey, 'content'));
  const cluster = config.secretStores.kubernetes;
  const ownCluster = cluster && 'server' in cluster ? cluster : undefined;
  const platformConnection = Connection.lazy({ address: config.temporalAddress, connectTimeout: '3s' });
  const ports = createTargetPorts({
    ...{ secrets, ownCluster, sharesLists: true },
    platform: {
      database,
      temporal: new Client({ connection: platformConnection, namespace: config.temporalNamespace }),
      verifyPolicies: createPolicyVerifier(policyPublicKey(config.policySecret)),
      ...(config.patience ? { patience: config.patience } : {}),
    },
  });
  const api = await startApi(config.api, {
    database,
    audit,
    unknownCallers,
    auditPublicKey: signer.publicKey,
    verifyAudit: () => verifyAudit({ database, verifier: signer, sink }),
    contentStore,
    approvalKeys: approvals.keys('approvals'),
    temporal,
    targetPorts: ports,
    authorize: policy.authorize,
    validatePolicies: policy.validatePolicies,
    rego: policy.rego,
    signPolicies: createPolicySigner(config.policySecret),
    logger: logger.child({ part: 'api' }),
    clock,
    refusedKeys,
    listRootKeys: () =>
      listRootKeys(database, { 'content.key': config.contentKey, 'gateway.key': config.approvalKey, 'issuer.key': config.signingKeysSeal }),
    channels: { secrets, fetch: channelNetwork.fetch },
  });
  const notify = startNotify({
    ...{ database, secrets, network: channelNetwork, clock },
    publicUrl: config.api.publicUrl,
    intervalMs: notifyIntervalMs,
    logger: logger.child({ part: 'notify' }),
  });
  registerReconcileMetrics(metrics, () => measureReconciler(database));
  const controller = startController({
    database,
    audit,
    temporal,
    contents: contentStore,
    ports,
    digest: contentStore.digestOf,
    clock,
    intervalMs: sweepIntervalMs,
    logger: logger.child({ part: 'controller' }),
  });
  policy.followDeclared(controller.take);
  const orders = followOrders<Extract<ProcessReport, { process: 'control' }>>({
    database,
    instance: `control/${randomUUID()}`,
    report: () => ({ process: 'control' }),
    carryOut: askForWorkers,
    logger: logger.child({ part: 'orders' }),
  });
  const auditLogger = logger.child({ part: 'audit' });
  const checkpoints = keepCheckpoints({
    take: createCheckpointer({ database, signer, sink, logger: auditLogger, clock }),
    intervalMs: checkpointIntervalMs,
    logger: auditLogger,
  });
  return {
    close: async () => {
      await Promise.all([api.close(), issuer.close(), devIdp?.close(), controller.close(), notify.close(), orders.close()]);
      await ports.close();
      await platformConnection.close();
      await channelNetwork.close();
      await stores.close();
      await Promise.all([rotatingKeys.close(), refusedKeys.close()]);
      await unknownCallers.close();
      await audit.close().catch(() => undefined);
      await checkpoints.close();
      await policy.close();
      await Promise.all([...rewraps, ...rings].map((each) => each.close()));
      await temporal.close();
      await closeDatabase(database);
    },
  };
};
