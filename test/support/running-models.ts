import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import pino from 'pino';
import { createAuthenticator } from '../../gateway/auth/authenticate.ts';
import { createAccessTokenVerifier } from '../../gateway/auth/verify-access-token.ts';
import { createCredentials } from '../../gateway/credentials/credentials.ts';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import type { GatewayContext } from '../../gateway/gateway-context.ts';
import { createPolicyHooks } from '../../gateway/hooks/policy-hooks.ts';
import { createLabelBook } from '../../gateway/labels/create-label-book.ts';
import { createModelHandler } from '../../gateway/llm/handle-models.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { createRegoPool } from '../../policy/rego/create-rego-pool.ts';
import { createRegoPolicies } from '../../policy/rego/rego-policies.ts';
import { createSourceOf } from '../../policy/source-of-request.ts';
import { getAgent } from '../../store/agents.ts';
import { createArgumentDigest } from '../../store/argument-digest.ts';
import { createApprovalAsks } from '../../store/ask-approval.ts';
import { createRefusalCounter } from '../../store/audit-refusals.ts';
import { createAuditWriter } from '../../store/audit-writer.ts';
import { createDecisionFactsWriter } from '../../store/decision-facts.ts';
import { declaredFrom, loadDeclared, projectPolicies } from '../../store/declared.ts';
import { createOperationStore } from '../../store/operations.ts';
import { approvalKeysOf, deriveContentKeys } from '../../store/secrets/seal.ts';
import { auditKey, openAuditLog } from './audit-log.ts';
import { nothingHalted, nothingLimited } from './no-limits.ts';
import { startRunningGateway } from './running-gateway.ts';

/**
 * The handler of `/v1` on a listener of its own, over the real policies, ledger, audit and tokens of a running gateway. `logLines` is all
 * that was logged; `apply` is in force when it returns.
 */
export const startRunningModels = async ({ stallMs, ...overrides }: Partial<GatewayConfig> & { stallMs?: number } = {}) => {
  const gateway = await startRunningGateway(overrides);
  const { config, database } = gateway;
  const logLines: string[] = [];
  const sink = new Writable({
    write: (line, _encoding, done) => {
      logLines.push(String(line));
      done();
    },
  });
  const logger = pino({ level: 'trace' }, sink);
  const log = openAuditLog(database);
  let declared = declaredFrom([], []);
  const policy = createPolicyEngine();
  const hooks = createPolicyHooks({ config, secrets: config, logger, now: Date.now });
  const context: GatewayContext = {
    config,
    instance: 'test',
    halts: nothingHalted,
    rates: nothingLimited,
    storms: { refused: () => undefined },
    database,
    audit: createAuditWriter({ database, log, logger }),
    decisionFacts: createDecisionFactsWriter({ database, logger }),
    sourceOf: createSourceOf(),
    unknownCallers: createRefusalCounter({ write: () => undefined, newDecisionId: () => 'dec_unknown' }),
    digestArguments: createArgumentDigest(auditKey),
    keysFor: (purpose) => deriveContentKeys(config.resultKey, purpose),
    operations: createOperationStore(database, log, deriveContentKeys(config.resultKey, 'operations'), 'test'),
    approvals: createApprovalAsks(database, log, approvalKeysOf(config.resultKey)),
    labels: createLabelBook({ database, declared: () => declared, now: Date.now }),
    policy,
    rego: createRegoPolicies({ pool: createRegoPool(), now: Date.now }),
    secrets: config,
    hooks,
    declared: () => declared,
    onDeclared: () => () => undefined,
    serving: () => undefined,
    authenticate: createAuthenticator({
      database,
      profile: config.profile,
      verifyAccessToken: createAccessTokenVerifier({ issuerUrl: config.issuerUrl, jwksUri: config.jwksUri }),
      now: Date.now,
    }),
    credentials: createCredentials({ ask: () => Promise.reject(new Error('no server is protected')), now: Date.now }),
    logger,
    now: Date.now,
  };
  const handle = createModelHandler(context, stallMs === undefined ? {} : { stallMs });
  /** What of a request did not end by itself; a handler never throws. */
  const failures: unknown[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    handle(request, response).then(
      (isOurs) => void (isOurs || response.writeHead(418).end()),
      (error: unknown) => failures.push(error),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;

  return {
    ...gateway,
    context,
    url,
    port,
    logLines,
    failures,
    agent: (id: string) => getAgent(database, id),
    /** A running agent, and a token that is good at the models. */
    addAgentWithToken: async (options: Parameters<typeof gateway.addAgent>[0] = {}) => {
      const agent = await gateway.addAgent(options);
      return { ...agent, token: await gateway.mint(agent.id, `${config.publicUrl}/v1`) };
    },
    apply: async (...documents: object[]): Promise<void> => {
      await gateway.apply(...documents);
      declared = await loadDeclared(database);
      for (const tenancy of declared.projects()) {
        const loaded = policy.load(tenancy, projectPolicies(declared, tenancy));
        if (!loaded.ok) throw new Error(JSON.stringify(loaded.issues));
      }
    },
    close: async (): Promise<void> => {
      server.close();
      server.closeAllConnections();
      await context.audit.close();
      await gateway.close();
    },
  };
};
export type RunningModels = Awaited<ReturnType<typeof startRunningModels>>;
