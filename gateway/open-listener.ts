import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../telemetry/logger.ts';

/** How long a client may take to send its headers, and a whole request. */
const headersTimeoutMs = 20_000;
const requestTimeoutMs = 120_000;

const answer = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

/**
 * Listens for HTTP on loopback, and stops so that no call fails. `/healthz` says that the process lives, `/readyz` that it takes calls.
 * @param options.handle - answers all other requests; what it throws is logged and shown as `internal`
 * @param options.noticeMs - how long calls are still taken after readiness is off, so that load balancers come to see it
 * @param options.drainMs - how long running calls may take to end after that; what then still runs is cut
 */
export const openListener = async ({
  port,
  handle,
  logger,
  noticeMs,
  drainMs,
}: {
  port: number;
  handle: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
  logger: Logger;
  noticeMs: number;
  drainMs: number;
}) => {
  const open = new Set<ServerResponse>();
  let isDraining = false;
  let isClosed = false;

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      if (request.url === '/healthz') return answer(response, 200, { status: 'ok' });
      if (request.url === '/readyz') return answer(response, isDraining ? 503 : 200, { status: isDraining ? 'draining' : 'ready' });
      await handle(request, response);
    } catch (error) {
      logger.error({ err: error }, 'a request failed inside');
      if (response.headersSent) response.destroy();
      else answer(response, 500, { error: 'internal', error_description: 'The request failed inside Quarterdeck; the log has the cause.' });
    }
  };

  const server = createServer((request, response) => {
    open.add(response);
    // makes Node send `connection: close`: the client's next request goes where it is taken
    if (isDraining) response.shouldKeepAlive = false;
    response.once('close', () => {
      open.delete(response);
      // the head of a stream was sent when the connection was still to be kept
      if (isClosed) server.closeIdleConnections();
    });
    void serve(request, response);
  });
  Object.assign(server, { headersTimeout: headersTimeoutMs, requestTimeout: requestTimeoutMs });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    /**
     * Stops: readiness off, a while of notice, nothing more is accepted, running calls end.
     * @param endStreams - ends what stands until somebody ends it
     */
    close: async (endStreams: () => Promise<void>): Promise<void> => {
      isDraining = true;
      for (const response of open) response.shouldKeepAlive = false;
      if (noticeMs > 0) await delay(noticeMs);
      isClosed = true;
      const ended = new Promise((resolve) => server.close(resolve));
      const cut = setTimeout(() => server.closeAllConnections(), drainMs);
      await endStreams().catch((error) => logger.warn({ err: error }, 'standing streams could not be ended'));
      await ended;
      clearTimeout(cut);
    },
  };
};
