import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../telemetry/logger.ts';
import { PassingMap } from '../passing-map.ts';
import type { HttpAnswer, ShortRequest } from './http-exchange.ts';
import type { ShortAnswer } from './short-answer.ts';
import { ShortConnection } from './short-connection.ts';

/** How long a client may take to send its headers, and a whole request. */
const usualTimeouts = { headersMs: 20_000, requestMs: 120_000 };
const sweepMs = 1000;
/** Connections that may wait to be taken. */
const backlog = 4096;

export type RequestHandlers = {
  /** Answers a request of any kind; what it throws is logged and shown as `internal`. */
  handle(request: IncomingMessage, response: ServerResponse): void | Promise<void>;
  /** The same for a short request to MCP. */
  handleShort(request: ShortRequest, answer: HttpAnswer): void | Promise<void>;
};

const answerJson = (answer: HttpAnswer, status: number, body: unknown): void => {
  answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

/**
 * Listens for HTTP on loopback, and stops so that no call fails. `/healthz` says that the process lives, `/readyz` that it takes calls.
 * Connections are read by us as long as short requests to MCP are all that comes on them, and by Node's own server from then on.
 * @param options.noticeMs - how long calls are still taken after readiness is off, so that load balancers come to see it
 * @param options.drainMs - how long running calls may take to end after that; what then still runs is cut
 * @param options.timeouts - for tests: how long a client may take
 */
export const openListener = async ({
  port,
  handle,
  handleShort,
  logger,
  noticeMs,
  drainMs,
  timeouts = usualTimeouts,
}: RequestHandlers & { port: number; logger: Logger; noticeMs: number; drainMs: number; timeouts?: typeof usualTimeouts }) => {
  const open = new PassingMap<number, ServerResponse>();
  let opened = 0;
  const short = new Set<ShortConnection>();
  let isDraining = false;
  let isClosed = false;

  const failed = (answer: HttpAnswer, error: unknown): void => {
    logger.error({ err: error }, 'a request failed inside');
    if (answer.headersSent) answer.destroy();
    else
      answerJson(answer, 500, {
        error: 'internal',
        error_description: 'The request failed inside Quarterdeck; the log has the cause.',
      });
  };
  const guarded = (answer: HttpAnswer, work: () => void | Promise<void>): void => {
    try {
      const done = work();
      if (done instanceof Promise) done.catch((error) => failed(answer, error));
    } catch (error) {
      failed(answer, error);
    }
  };

  const http = createServer({ connectionsCheckingInterval: sweepMs }, (request, response) => {
    opened += 1;
    const number = opened;
    open.set(number, response);
    // makes Node send `connection: close`: the client's next request goes where it is taken
    if (isDraining) response.shouldKeepAlive = false;
    response.once('close', () => {
      open.delete(number);
      // the head of a stream was sent when the connection was still to be kept
      if (isClosed) http.closeIdleConnections();
    });
    if (request.url === '/healthz') answerJson(response, 200, { status: 'ok' });
    else if (request.url === '/readyz') answerJson(response, isDraining ? 503 : 200, { status: isDraining ? 'draining' : 'ready' });
    else guarded(response, () => handle(request, response));
  });
  Object.assign(http, { headersTimeout: timeouts.headersMs, requestTimeout: timeouts.requestMs });
  // it never listens itself, and without this it would keep no list of its connections: none would be ended, late or at the end
  http.emit('listening');

  const events = {
    onRequest: (request: ShortRequest, answer: ShortAnswer): void => {
      if (isDraining) answer.shouldKeepAlive = false;
      guarded(answer, () => handleShort(request, answer));
    },
    onOther: (socket: Socket, bytes: Buffer): void => {
      socket.pause();
      socket.unshift(bytes);
      http.emit('connection', socket);
      // what was put back is read before anything new is
      process.nextTick(() => socket.resume());
    },
    onGone: (connection: ShortConnection): void => void short.delete(connection),
    timeouts,
  };
  // half open as Node's own server has it: who reads a connection decides what its end means
  const server = createSocketServer(
    { noDelay: true, allowHalfOpen: true },
    (socket) => void short.add(new ShortConnection(socket, events)),
  );
  const sweeper = setInterval(() => {
    const now = performance.now();
    for (const connection of short) connection.endIfLate(now);
  }, sweepMs);
  sweeper.unref();
  server.listen({ port, host: '127.0.0.1', backlog });
  await once(server, 'listening');

  const keepNone = (): void => {
    for (const response of open.values()) response.shouldKeepAlive = false;
    for (const { answer } of short) if (answer) answer.shouldKeepAlive = false;
  };

  return {
    port: (server.address() as AddressInfo).port,
    /**
     * Stops: readiness off, a while of notice, nothing more is accepted, running calls end.
     * @param endStreams - ends what stands until somebody ends it
     */
    close: async (endStreams: () => Promise<void>): Promise<void> => {
      isDraining = true;
      keepNone();
      if (noticeMs > 0) await delay(noticeMs);
      isClosed = true;
      const ended = new Promise((resolve) => server.close(resolve));
      http.closeIdleConnections();
      for (const connection of short) if (connection.isIdle) connection.destroy();
      const cut = setTimeout(() => {
        http.closeAllConnections();
        for (const connection of short) connection.destroy();
      }, drainMs);
      await endStreams().catch((error) => logger.warn({ err: error }, 'standing streams could not be ended'));
      await ended;
      clearTimeout(cut);
      clearInterval(sweeper);
      http.close();
    },
  };
};
