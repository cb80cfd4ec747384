import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { PlatformError } from '../../schema/errors.ts';
import type { ApiConfig, ApiDependencies } from './api-dependencies.ts';
import { createApi } from './create-api.ts';

const closeGraceMs = 2_000;

/**
 * Starts the api of the control plane on 127.0.0.1.
 * @returns the port it listens on, and `close`, which ends within two seconds
 * @throws {PlatformError} `port_taken`
 */
export const startApi = async (config: ApiConfig, dependencies: ApiDependencies): Promise<{ port: number; close(): Promise<void> }> => {
  const server = createAdaptorServer({
    fetch: createApi(config, dependencies).fetch,
    createServer,
    serverOptions: { headersTimeout: 10_000, requestTimeout: 30_000 },
  }) as Server;
  server.listen(config.port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new PlatformError('port_taken', `The api cannot listen on 127.0.0.1:${config.port}; stop what does, or choose another port.`, {
      cause,
    });
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), closeGraceMs);
      await closed;
      clearTimeout(force);
    },
  };
};
