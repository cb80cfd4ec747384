import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { Client } from 'undici';
import type { EgressParts } from './egress-parts.ts';
import { forwardRequest } from './forward-request.ts';
import type { ReachableServer } from './reachable-server.ts';
import { describeRefusal, Refusal, reasonOf, refusalReasons } from './refusal.ts';
import { answerRefusal } from './swap-secrets.ts';
import { startUpstreamTls } from './upstream-tls.ts';
import type { Way } from './way.ts';

const silenceMs = 300_000;

/** What stands behind one connection of a client that is looked into. `isClear`: plain HTTP, on which no secret goes. */
type Opened = { way: Way; client: Client; isClear: boolean; server: () => ReachableServer; requests: number };

export type WayOpener = {
  /**
   * Takes over a connection of a client: each of its requests is looked at and passed on.
   * @param greeting - what the client has said so far
   */
  open(
    way: Way,
    socket: Socket,
    options: { greeting: Buffer; secureContext: SecureContext | undefined; server: () => ReachableServer },
  ): void;
  close(): void;
};

const createClient = (way: Way, connect: () => Promise<Socket>): Client => {
  let isTaken = false;
  const { host, port } = way.rule;
  return new Client(`http://${host.includes(':') ? `[${host}]` : host}:${port}`, {
    pipelining: 1,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    connect: (_options, callback) => {
      // one connection a way: where its host has hung up the client connects again itself, and that is on record again
      const connection = isTaken ? Promise.reject(new Refusal('unreachable')) : connect();
      isTaken = true;
      connection.then(
        (socket) => callback(null, socket),
        (error: Error) => callback(error, null),
      );
    },
  });
};

/** Looks into connections: of TLS to hosts that a secret may go to (TLS ends here and begins anew), and of plain HTTP in a tunnel. */
export const createWayOpener = (parts: EgressParts): WayOpener => {
  const opened = new WeakMap<Socket, Opened>();

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { socket } = request;
    const found = opened.get(socket);
    if (!found) return void response.destroy();
    const { way, server } = found;
    found.requests += 1;
    await forwardRequest({ ...found, server: server(), parts, request, response }).catch((error: unknown) => {
      const reason = reasonOf(error);
      parts.recorder.refused(way.attempt, reason);
      answerRefusal(response, refusalReasons[reason].status, describeRefusal(reason, `${way.rule.host}:${way.rule.port}`));
    });
    found.requests -= 1;
    if (way.upstream.destroyed) socket.end();
  };
  const inner: Server = createServer({ maxHeaderSize: 65_536, requestTimeout: 0, keepAliveTimeout: silenceMs }, (request, response) => {
    void answer(request, response);
  });
  inner.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    const found = opened.get(request.socket);
    if (found) parts.recorder.refused(found.way.attempt, 'upgrade');
    const text = describeRefusal('upgrade', request.headers.host ?? 'the host');
    socket.end(`HTTP/1.1 501 Not Implemented\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n${text}`);
  });
  inner.on('clientError', (_error, socket) => socket.destroy());

  return {
    open: (way, socket, { greeting, secureContext, server }) => {
      const isClear = secureContext === undefined;
      const client = createClient(way, async () => (isClear ? way.upstream : startUpstreamTls(way, parts.authorities)));
      socket.unshift(greeting);
      const talk = isClear ? socket : new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
      talk.on('error', () => way.end());
      talk.once('close', () => way.end());
      const entry: Opened = { way, client, isClear, server, requests: 0 };
      way.onEnd(() => {
        void client.destroy().catch(() => undefined);
        // a request under way is told why first
        if (entry.requests === 0) talk.end();
      });
      opened.set(talk, entry);
      inner.emit('connection', talk);
      if (isClear) socket.resume(); // it was paused for its greeting; TLS reads by itself
    },
    close: () => inner.closeAllConnections(),
  };
};
