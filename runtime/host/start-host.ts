import { mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PlatformError } from '../../schema/errors.ts';
import { ResolvePathsRequestSchema, ServerLaunchSchema } from '../../schema/server-launch.ts';
import { createLogger, type Logger } from '../../telemetry/logger.ts';
import { createAdmission } from './admit-request.ts';
import { answerMcp } from './answer-mcp.ts';
import { createRuntimeChooser, type RuntimeChooser } from './choose-runtime.ts';
import type { HostConfig } from './host-config.ts';
import { readJson, sendEmpty, sendJson, sendProblem } from './http-messages.ts';
import { createInstanceTable, type InstanceTable } from './instance-table.ts';
import { createKnownEras } from './known-eras.ts';
import { resolvePaths } from './resolve-paths.ts';

/** Collaborators that a test replaces. `now` is a clock in milliseconds, `probeTimeoutMs` how long a new server is given to answer the first question. */
export type HostParts = { logger: Logger; now: () => number; chooseRuntime: RuntimeChooser; probeTimeoutMs: number };

const decodeId = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new PlatformError('input_invalid', 'The instance id in the address is not encoded well.', { cause });
  }
};

const ensureInstance = async (table: InstanceTable, id: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const launch = await readJson(request, ServerLaunchSchema);
  if (launch.id !== id) throw new PlatformError('input_invalid', 'id: is another one than in the address');
  sendJson(response, 200, await table.ensure(launch));
};

const answerResolvePaths = async (table: InstanceTable, id: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const instance = table.get(id);
  const { paths } = await readJson(request, ResolvePathsRequestSchema);
  const { process } = await instance.ready();
  sendJson(response, 200, { paths: await resolvePaths(instance.launch, paths, process.isolation === 1) });
};

/** The routes; each answers the request or throws. */
const route = async (table: InstanceTable, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { method = 'GET', url = '/' } = request;
  const [, collection, encodedId, action, ...rest] = (url.split('?', 1)[0] ?? '').split('/');
  const id = decodeId(encodedId ?? '');
  const name = collection !== 'instances' || rest.length > 0 ? '' : encodedId === undefined ? 'list' : (action ?? 'one');
  if (name === 'list' && method === 'GET') return sendJson(response, 200, { instances: table.list() });
  if (name === 'one' && method === 'PUT') return ensureInstance(table, id, request, response);
  if (name === 'one' && method === 'DELETE') return table.remove(id).then(() => sendEmpty(response, 204));
  if (name === 'mcp') return answerMcp({ instance: table.get(id), request, response }, () => table.remove(id));
  if (name === 'resolve-paths' && method === 'POST') return answerResolvePaths(table, id, request, response);
  throw new PlatformError('not_found', 'The host has no such address.');
};

/**
 * Starts the host: it runs stdio MCP servers in cages and offers them to the gateway over HTTP on 127.0.0.1.
 *
 * `PUT /instances/{id}` (ServerLaunch → ReadyInstance), `DELETE /instances/{id}`, `GET /instances`, `POST, GET, DELETE /instances/{id}/mcp`,
 * `POST /instances/{id}/resolve-paths`, `GET /healthz`; ids are URL-encoded, all but the last need the key, errors are problem details.
 * @param parts - collaborators a test replaces
 * @returns the port, and `close`, which stops every server
 * @throws {PlatformError} `port_taken`
 */
export const startHost = async (config: HostConfig, parts: Partial<HostParts> = {}): Promise<{ port: number; close(): Promise<void> }> => {
  const logger = parts.logger ?? createLogger({ name: 'host' });
  const chooseRuntime = parts.chooseRuntime ?? createRuntimeChooser(config, logger);
  await mkdir(config.logDirectory, { recursive: true, mode: 0o700 });
  const table = createInstanceTable(
    {
      chooseRuntime,
      logDirectory: config.logDirectory,
      logger,
      now: parts.now ?? Date.now,
      knownEras: createKnownEras(),
      probeTimeoutMs: parts.probeTimeoutMs ?? 10_000,
    },
    { instances: config.maximumInstances ?? 200, sessionsPerServer: config.maximumSessionInstances ?? 100 },
  );

  // Longer than clients keep idle connections, so that none is closed under a request.
  const server = createServer({ keepAliveTimeout: 65_000 });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(cause.code === 'EADDRINUSE' ? new PlatformError('port_taken', `Port ${config.port} is in use.`, { cause }) : cause),
    );
    server.listen(config.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const admit = createAdmission(config.key, port);

  server.on('request', async (request, response) => {
    try {
      const isHealthCheck = request.method === 'GET' && request.url === '/healthz';
      admit(request, !isHealthCheck);
      if (isHealthCheck) sendJson(response, 200, { status: 'ok' });
      else await route(table, request, response);
    } catch (error) {
      sendProblem(response, error, logger);
    }
  });
  logger.info({ event: 'host-started', port }, 'host listens');

  const close = async (): Promise<void> => {
    server.close();
    await table.close();
    server.closeAllConnections();
  };
  return { port, close };
};
