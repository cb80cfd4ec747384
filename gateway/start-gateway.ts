import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createPolicyEngine } from '../policy/engine.ts';
import { createAuditWriter } from '../store/audit-writer.ts';
import { closeDatabase, openDatabase } from '../store/database.ts';
import { type Declared, declaredFrom, projectPolicies } from '../store/declared.ts';
import { createOperationStore, holdInstanceLock } from '../store/operations.ts';
import { deriveContentKeys } from '../store/secrets/seal.ts';
import { watchDeclared } from '../store/watch-declared.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createAuthenticator } from './auth/authenticate.ts';
import { answerUnauthenticated, resourceMetadata } from './auth/challenge.ts';
import { createRunTokenVerifier } from './auth/verify-run-token.ts';
import type { GatewayConfig } from './gateway-config.ts';
import type { GatewayContext } from './gateway-context.ts';
import { guardRequest } from './guard-request.ts';
import { createModelHandler } from './llm/handle-models.ts';
import { createServerDiscovery } from './mcp/discover-servers.ts';
import { parseEndpoint } from './mcp/endpoint.ts';
import { createHostClient } from './mcp/host-client.ts';
import { serveMcp } from './mcp/serve-mcp.ts';
import { createUpstreams } from './mcp/upstreams.ts';
import { passThrough } from './pass-through.ts';

/** How long running calls may take to end when the gateway is stopped. */
const drainMs = 5000;
const metadataPrefix = '/.well-known/oauth-protected-resource';

const answerJson = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

/**
 * Starts the data plane: `/mcp*`, `/v1/*`, the metadata of protected resources, and the plain pass-through to the api.
 * @returns the port in use and `close`, which stops listening, lets running calls end and writes the last audit rows
 */
export const startGateway = async (config: GatewayConfig): Promise<{ port: number; close(): Promise<void> }> => {
  const logger = createLogger({ name: 'gateway' });
  const now = Date.now;
  const database = openDatabase({ url: config.databaseUrl, max: 20, name: 'gateway' });
  const instance = randomUUID();
  const policy = createPolicyEngine();
  let declared: Declared = declaredFrom([], []);
  let closed = false;

  const holdLock = async (): Promise<() => void> =>
    holdInstanceLock(database, instance, () => {
      const again = (): void => {
        if (closed) return;
        holdLock().then(
          (release) => {
            releaseLock = release;
          },
          () => setTimeout(again, 500).unref(),
        );
      };
      again();
    });
  let releaseLock = await holdLock();

  const context: GatewayContext = {
    config,
    database,
    audit: createAuditWriter({ database, logger }),
    operations: createOperationStore(database, deriveContentKeys(config.resultKey, 'operations'), instance),
    policy,
    declared: () => declared,
    authenticate: createAuthenticator({
      database,
      profile: config.profile,
      verifyRunToken: createRunTokenVerifier({ issuerUrl: config.issuerUrl, jwksUri: config.jwksUri }),
      now,
    }),
    logger,
    now,
  };
  const host = createHostClient(config);
  const upstreams = createUpstreams({ context, host });
  const discovery = createServerDiscovery({ context, upstreams, host });
  const watch = await watchDeclared({
    database,
    logger,
    onChange: (next) => {
      for (const tenancy of next.projects()) {
        const loaded = policy.load(tenancy, projectPolicies(next, tenancy));
        if (!loaded.ok)
          logger.error({ ...tenancy, issues: loaded.issues }, 'policies of a project are not valid; the last good ones stay in force');
      }
      declared = next;
      void discovery.discover();
    },
  });
  const handleModels = createModelHandler(context);

  const handleMcp = async (pathname: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const endpoint = parseEndpoint(pathname);
    if (!endpoint)
      return answerJson(response, 404, {
        error: 'not_found',
        error_description: `There is nothing at ${pathname.slice(0, 256)}; toolsets are at /mcp/{toolset}.`,
      });
    let principal: Awaited<ReturnType<GatewayContext['authenticate']>>;
    try {
      principal = await context.authenticate(request.headers.authorization, `${config.publicUrl}${endpoint.path}`);
    } catch (error) {
      return answerUnauthenticated(response, error, { publicUrl: config.publicUrl, path: pathname, scope: 'mcp' });
    }
    const isThere =
      endpoint.kind === 'everything' ||
      (endpoint.tenancy.org === principal.org && declared.find('Toolset', endpoint.tenancy, endpoint.toolset) !== undefined);
    if (!isThere)
      return answerJson(response, 404, { error: 'not_found', error_description: `There is no toolset at ${pathname} that you may use.` });
    await serveMcp(context, upstreams, { principal, endpoint, request, response });
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? '/', config.publicUrl);
    if (pathname === '/healthz') return answerJson(response, 200, { status: 'ok' });
    if (!guardRequest(request, response, config.publicUrl)) return;
    if (pathname === '/mcp' || pathname.startsWith('/mcp/')) return handleMcp(pathname, request, response);
    if (await handleModels(request, response)) return;
    if (pathname.startsWith('/api/') || pathname.startsWith('/registry/')) return passThrough(config.apiUrl, request, response, logger);
    if (pathname.startsWith(metadataPrefix)) {
      const path = pathname.slice(metadataPrefix.length) || '/mcp';
      const scope = path.startsWith('/v1') ? 'models' : 'mcp';
      if (path === '/v1' || parseEndpoint(path))
        return answerJson(response, 200, resourceMetadata({ resource: `${config.publicUrl}${path}`, issuerUrl: config.issuerUrl, scope }));
    }
    answerJson(response, 404, { error: 'not_found', error_description: 'Tools are at /mcp, models at /v1, the api at /api.' });
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      logger.error({ err: error }, 'a request failed inside');
      if (response.headersSent) response.destroy();
      else
        answerJson(response, 500, {
          error: 'internal',
          error_description: 'The request failed inside Quarterdeck; the log has the cause.',
        });
    });
  });
  server.listen(config.port, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      closed = true;
      const ended = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), drainMs);
      await ended;
      clearTimeout(cut);
      await discovery.close();
      await upstreams.close();
      await watch.close();
      await context.audit.close();
      releaseLock();
      await closeDatabase(database);
    },
  };
};
