import { randomUUID } from 'node:crypto';
import { createPolicyEngine } from '../policy/engine.ts';
import { createRegoPool } from '../policy/rego/create-rego-pool.ts';
import { createRegoPolicies } from '../policy/rego/rego-policies.ts';
import { createSourceOf } from '../policy/source-of-request.ts';
import type { SealedName } from '../schema/seal-key.ts';
import { createArgumentDigest } from '../store/argument-digest.ts';
import { createApprovalAsks } from '../store/ask-approval.ts';
import { createAuditLog } from '../store/audit-log.ts';
import { createRefusalCounter } from '../store/audit-refusals.ts';
import { createAuditWriter } from '../store/audit-writer.ts';
import { closeDatabase, openDatabase } from '../store/database.ts';
import { createDecisionFactsWriter } from '../store/decision-facts.ts';
import { keepSealed } from '../store/keep-sealed.ts';
import { createOperationStore } from '../store/operations.ts';
import { createRatePlaces } from '../store/rate-places.ts';
import { createRateWindows } from '../store/rate-windows.ts';
import { openSealRing } from '../store/seal-ring.ts';
import { createPolicyVerifier } from '../store/secrets/policy-signature.ts';
import { approvalKeyOf, credentialKeyOf } from '../store/secrets/seal.ts';
import { type KeychainLookup, openSecretStores } from '../store/secrets/secret-stores.ts';
import { watchRefusedKeys } from '../store/watch-refused-keys.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/process-metrics.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { createAgentFacts } from './auth/agent-facts.ts';
import { createAuthenticator } from './auth/authenticate.ts';
import { createStreamGuard } from './auth/create-stream-guard.ts';
import { cutEndedRuns } from './auth/cut-ended-runs.ts';
import { createIssuerKeys } from './auth/issuer-keys.ts';
import { createAccessTokenVerifier } from './auth/verify-access-token.ts';
import { createRouter } from './create-router.ts';
import { createCredentialClient } from './credentials/credential-client.ts';
import { createCredentials } from './credentials/credentials.ts';
import { newDecisionId } from './decide.ts';
import { createMcpEdge } from './edge/serve-mcp.ts';
import { followDeclared } from './follow-declared.ts';
import { openListener } from './front/open-listener.ts';
import type { GatewayConfig } from './gateway-config.ts';
import type { GatewayContext } from './gateway-context.ts';
import { createPolicyHooks } from './hooks/policy-hooks.ts';
import { keepInstanceLock } from './keep-instance-lock.ts';
import { keepRevisions } from './keep-revisions.ts';
import { createLabelBook } from './labels/create-label-book.ts';
import { createLegacyEdge } from './legacy/create-legacy-edge.ts';
import { createStormCounter } from './limits/count-storms.ts';
import { followHalts } from './limits/follow-halts.ts';
import { followRateHolds } from './limits/follow-rate-holds.ts';
import { keepRates } from './limits/keep-rates.ts';
import { createModelHandler } from './llm/handle-models.ts';
import { obeyOrders } from './obey-orders.ts';
import { observeCalls } from './observe-calls.ts';
import { recordRefused } from './record-refused.ts';
import { createSurface } from './surface/create-surface.ts';
import { createUpstreamPool } from './upstream/create-upstream-pool.ts';
import { createServerDiscovery } from './upstream/discover-servers.ts';
import { createHostClient } from './upstream/host-client.ts';

/**
 * Starts the data plane: `/mcp*`, `/v1/*`, the metadata of protected resources, and the plain pass-through to the api.
 * @param options.metrics - where calls are counted
 * @param options.tracing - where spans of calls go
 * @param options.lookupKeychain - asks whoever may start programs, which the gateway never does
 * @returns the port in use and `close`, which stops listening, lets running calls end and writes the last audit rows
 */
export const startGateway = async (
  config: GatewayConfig,
  { metrics, tracing, lookupKeychain }: { metrics?: Metrics; tracing?: Tracing; lookupKeychain?: KeychainLookup } = {},
): Promise<{ port: number; close(): Promise<void> }> => {
  const logger = createLogger({ name: 'gateway' });
  const now = Date.now;
  const database = openDatabase({ url: config.databaseUrl, max: 20, name: 'gateway' });
  const instance = randomUUID();
  const policy = createPolicyEngine();
  const stores = openSecretStores(config.secretStores ?? {}, lookupKeychain);
  const secrets = { environment: config.environment, privateDirectory: config.privateDirectory, privatePaths: config.privatePaths, stores };
  const hooks = createPolicyHooks({ config, secrets, logger, now });
  const regoPool = createRegoPool();
  const rego = createRegoPolicies({ pool: regoPool, now: () => performance.now() });
  const verifyPolicies = createPolicyVerifier(config.policyPublicKey);
  const view = followDeclared({
    database,
    policy,
    verifyPolicies,
    onPolicies: (tenancy, policies) => {
      rego.take(tenancy, policies);
      hooks.take(tenancy, policies);
    },
    logger,
    pollMs: config.declaredPollMs,
    policyGraceMs: config.policyGraceMs,
  });
  const decisionFacts = createDecisionFactsWriter({ database, logger });
  const brake = followHalts({ database, logger });
  const rates = keepRates({ take: createRateWindows(database), places: createRatePlaces(database, logger), instance });
  const holds = followRateHolds({ database, logger, onChange: rates.hold });
  const storms = createStormCounter();
  view.onDeclared(rates.take);
  view.onDeclared(keepRevisions({ database, policy, logger }));
  const releaseLock = await keepInstanceLock(database, instance);
  const refusedKeys = await watchRefusedKeys({ database, logger });

  const ringOf = (name: SealedName, master: string) => openSealRing({ database, name, master, logger, ...config.sealing });
  const own = await ringOf('gateway', config.resultKey);
  const shared = await ringOf('approvals', approvalKeyOf(config.resultKey));
  const people = await ringOf('people', config.auditKey);
  const rings = [own, shared, people];
  const rewraps = [own, shared].map((ring) => keepSealed({ database, ring, logger, ...config.sealing }));
  const log = createAuditLog({ database, process: 'gateway', key: config.auditKey, peopleKeys: people.keys('audit-people') });
  const audit = createAuditWriter({ database, log, logger });
  const observe = observeCalls({ metrics, tracing, now });

  const agents = createAgentFacts({ database, now });
  const keys = createIssuerKeys({ jwksUri: config.jwksUri });
  const context: GatewayContext = {
    config,
    instance,
    database,
    audit,
    ...(observe ? { observe } : {}),
    sourceOf: createSourceOf(config.trustedProxies),
    unknownCallers: createRefusalCounter({ write: (events) => events.forEach(audit.write), newDecisionId }),
    digestArguments: createArgumentDigest(config.auditKey),
    decisionFacts,
    keysFor: own.keys,
    operations: createOperationStore(database, log, own.keys('operations'), instance, { rows: audit }),
    halts: brake.halts,
    rates,
    storms,
    approvals: createApprovalAsks(database, log, shared.keys('approvals')),
    labels: createLabelBook({ database, declared: view.declared, now }),
    policy,
    secrets,
    rego,
    hooks,
    declared: view.declared,
    onDeclared: view.onDeclared,
    authenticate: createAuthenticator({
      database,
      profile: config.profile,
      verifyAccessToken: createAccessTokenVerifier({ issuerUrl: config.issuerUrl, jwksUri: config.jwksUri, refusedKeys, keys }),
      now,
      agents,
    }),
    credentials: createCredentials({
      ask: createCredentialClient({ issuerUrl: config.issuerUrl, key: credentialKeyOf(config.resultKey) }),
      now,
    }),
    serving: (principal, response) => runs.serve(principal, response),
    logger,
    now,
  };
  const host = createHostClient(config);
  const pool = createUpstreamPool({ context, host });
  const discovery = createServerDiscovery({ context, pool, host });
  view.onDeclared(() => void discovery.discover());
  await brake.start();
  await holds.start();
  await view.begin();
  const orders = obeyOrders({ context, view, discovery, keys, holds, storms });
  const surface = createSurface({ context, pool });
  const streams = createStreamGuard({ context, checkMs: config.streamCheckMs });
  const runs = cutEndedRuns({ database, agents, streams, logger, lookMs: config.runCheckMs });
  const watchStream = streams.watch;
  const legacy = createLegacyEdge({ context, surface, watchStream });
  const edge = createMcpEdge({
    context,
    surface,
    legacy,
    watchStream,
    onRefused: (request) => recordRefused(context, request, 'request_invalid'),
  });
  const listener = await openListener({
    port: config.port,
    ...createRouter({ context, edge, handleModels: createModelHandler(context) }),
    logger,
    noticeMs: config.drain?.noticeMs ?? 0,
    drainMs: config.drain?.longestMs ?? 5000,
  });

  return {
    port: listener.port,
    close: async () => {
      await listener.close(async () => void (await Promise.all([surface.drain(), legacy.close()])));
      await orders.close();
      await streams.close();
      await runs.close();
      await discovery.close();
      await pool.close();
      await hooks.close();
      await regoPool.close();
      await view.close();
      await holds.close();
      await rates.close();
      await brake.close();
      await refusedKeys.close();
      await context.unknownCallers.close();
      await context.operations.close();
      await Promise.all([context.audit.close(), decisionFacts.drained()]);
      await log.close().catch(() => undefined);
      await stores.close();
      await Promise.all([...rewraps, ...rings].map((each) => each.close()));
      releaseLock();
      await closeDatabase(database);
    },
  };
};
