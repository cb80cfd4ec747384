import { createCredentials } from '../../gateway/credentials/credentials.ts';
import { followDeclared } from '../../gateway/follow-declared.ts';
import type { GatewayContext } from '../../gateway/gateway-context.ts';
import { createPolicyHooks } from '../../gateway/hooks/policy-hooks.ts';
import { keepInstanceLock } from '../../gateway/keep-instance-lock.ts';
import { createLabelBook } from '../../gateway/labels/create-label-book.ts';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { JsonObject, Notification, Reply } from '../../gateway/mcp/message.ts';
import type { Principal } from '../../gateway/principal.ts';
import { createSurface } from '../../gateway/surface/create-surface.ts';
import { createUpstreamPool } from '../../gateway/upstream/create-upstream-pool.ts';
import { createHostClient } from '../../gateway/upstream/host-client.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { createRegoPool } from '../../policy/rego/create-rego-pool.ts';
import { createRegoPolicies } from '../../policy/rego/rego-policies.ts';
import { createSourceOf } from '../../policy/source-of-request.ts';
import { parseEndpoint } from '../../schema/mcp-endpoint.ts';
import { createArgumentDigest } from '../../store/argument-digest.ts';
import { createApprovalAsks } from '../../store/ask-approval.ts';
import { createRefusalCounter } from '../../store/audit-refusals.ts';
import { createAuditWriter } from '../../store/audit-writer.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { createDecisionFactsWriter } from '../../store/decision-facts.ts';
import { createOperationStore } from '../../store/operations.ts';
import { approvalKeysOf, deriveContentKeys } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { auditKey, openAuditLog } from './audit-log.ts';
import { nothingHalted, nothingLimited } from './no-limits.ts';
import { pollUntil } from './poll-until.ts';

export const personOf = (id: string): Principal => ({
  kind: 'person',
  org: 'default',
  id,
  groups: [],
  roles: ['administrator'],
  disabled: false,
  stamp: `${id}-token`,
  grant: `token:${id}/${id}-token`,
});

/** What a client can do, as most tests want it. */
export const askable: JsonObject = { elicitation: { form: {} }, sampling: {}, roots: {} };
export const withTasks: JsonObject = { ...askable, extensions: { 'io.modelcontextprotocol/tasks': {} } };

type Asked = Partial<ClientRequest> & { capabilities?: JsonObject; toolset?: string };
export type SurfaceReplica = Awaited<ReturnType<typeof startSurfaceReplica>>;

/** The surface of one replica of the gateway with all that is behind it, on a given database; requests come in as the edges make them. */
export const startSurfaceReplica = async (databaseUrl: string, instance: string = crypto.randomUUID()) => {
  const logger = createLogger({ name: 'test-surface' });
  const database = openDatabase({ url: databaseUrl, name: 'test-surface' });
  const log = openAuditLog(database);
  const policy = createPolicyEngine();
  const releaseLock = await keepInstanceLock(database, instance);
  const resultKey = Buffer.alloc(32, 5).toString('base64');
  const config = { resultKey, hostUrl: 'http://127.0.0.1:9', hostKey: 'none', profile: 'dev' } as GatewayContext['config'];
  const hooks = createPolicyHooks({ config, secrets: config, logger, now: Date.now });
  const view = followDeclared({ database, policy, verifyPolicies: () => false, onPolicies: hooks.take, logger });
  const context: GatewayContext = {
    config,
    instance,
    halts: nothingHalted,
    rates: nothingLimited,
    storms: { refused: () => undefined },
    database,
    audit: createAuditWriter({ database, log, logger }),
    decisionFacts: createDecisionFactsWriter({ database, logger }),
    sourceOf: createSourceOf(),
    unknownCallers: createRefusalCounter({ write: () => undefined, newDecisionId: () => 'dec_unknown' }),
    digestArguments: createArgumentDigest(auditKey),
    keysFor: (purpose) => deriveContentKeys(resultKey, purpose),
    operations: createOperationStore(database, log, deriveContentKeys(resultKey, 'operations'), instance),
    approvals: createApprovalAsks(database, log, approvalKeysOf(resultKey)),
    labels: createLabelBook({ database, declared: view.declared, now: Date.now }),
    policy,
    rego: createRegoPolicies({ pool: createRegoPool(), now: Date.now }),
    secrets: config,
    hooks,
    declared: view.declared,
    onDeclared: view.onDeclared,
    serving: () => undefined,
    authenticate: () => personOf('admin'),
    credentials: createCredentials({ ask: () => Promise.reject(new Error('no server is protected')), now: Date.now }),
    logger,
    now: Date.now,
  };
  await view.begin();
  const pool = createUpstreamPool({ context, host: createHostClient(config) });
  const surface = createSurface({ context, pool });

  const requestOf = ({ capabilities = askable, toolset = 'tools', ...asked }: Asked): ClientRequest => ({
    id: 1,
    method: 'tools/call',
    params: {},
    principal: personOf('admin'),
    endpoint: parseEndpoint(`/mcp/${toolset}`) as ClientRequest['endpoint'],
    client: { era: 'modern', protocolVersion: '2026-07-28', capabilities },
    parameterHeaders: {},
    logLevel: undefined,
    signal: new AbortController().signal,
    notify: async () => undefined,
    ...asked,
  });

  return {
    instance,
    context,
    pool,
    surface,
    database,
    requestOf,
    handle: (asked: Asked): Promise<Reply> => surface.handle(requestOf(asked)),
    /** Calls a tool as a modern client. */
    call: (name: string, args: JsonObject = {}, asked: Asked & { rest?: JsonObject } = {}): Promise<Reply> =>
      surface.handle(requestOf({ ...asked, params: { name, arguments: args, ...asked.rest, ...asked.params } })),
    /** Looks at servers, so that what they offer is approved and in force. */
    look: async (...servers: string[]): Promise<void> => {
      for (const name of servers) {
        const server = view.declared().find('McpServer', { org: 'default', project: 'default' }, name);
        if (server) await pool.look(server, undefined);
      }
      const isKnown = (name: string) => view.declared().definitionsOf({ org: 'default', project: 'default' }, name, 'tool').length > 0;
      await pollUntil(async () => servers.every(isKnown) || undefined, 'the definitions of the servers');
    },
    /** Ends as a killed process does: nothing is told, the lock is free. */
    vanish: (): void => releaseLock(),
    close: async (): Promise<void> => {
      await surface.drain();
      await pool.close();
      await view.close();
      await context.audit.close();
      releaseLock();
      await closeDatabase(database);
    },
  };
};

/** A legacy client: era, version, and one that answers what it is asked. */
export const legacyClient = (
  answer: (question: { method: string; params?: JsonObject }) => Reply | Promise<Reply>,
  { version = '2025-11-25', capabilities = askable }: { version?: string; capabilities?: JsonObject } = {},
): Partial<ClientRequest> => ({
  client: { era: 'legacy', protocolVersion: version, capabilities },
  ask: async (question) => answer(question),
  logLevel: 'debug',
});

/** What a request said meanwhile, in its order. */
export const hearing = (): { said: Notification[]; notify: ClientRequest['notify'] } => {
  const said: Notification[] = [];
  return { said, notify: async (notification) => void said.push(notification) };
};

export const resultOf = (reply: Reply): JsonObject => {
  if (reply.kind === 'error') throw new Error(JSON.stringify(reply.error));
  return reply.result;
};
export const errorOf = (reply: Reply) => {
  if (reply.kind === 'result') throw new Error(JSON.stringify(reply.result));
  return reply.error;
};
