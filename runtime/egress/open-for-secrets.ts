import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { connect, getCACertificates, type SecureContext, TLSSocket } from 'node:tls';
import { Client } from 'undici';
import { parseAddress } from '../../schema/network-address.ts';
import type { EgressParts } from './egress-parts.ts';
import { forwardRequest } from './forward-request.ts';
import { established } from './pass-unseen.ts';
import type { ReachableServer } from './reachable-server.ts';
import { describeRefusal, Refusal, reasonOf, refusalReasons } from './refusal.ts';
import { answerRefusal } from './swap-secrets.ts';
import type { Way } from './way.ts';

const handshakeWithinMs = 10_000;
const silenceMs = 300_000;

/** What stands behind one connection of a client that was opened. */
type Opened = { way: Way; client: Client; server: () => ReachableServer };

/** Speaks TLS to the host itself, as any client would. @throws {Refusal} `untrusted` */
const startUpstreamTls = ({ upstream, rule }: Way, authorities: readonly string[]): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const secure = connect({
      socket: upstream,
      ...(parseAddress(rule.host) === undefined ? { servername: rule.host } : { host: rule.host }),
      ALPNProtocols: ['http/1.1'],
      ...(authorities.length > 0 ? { ca: [...getCACertificates('default'), ...authorities] } : {}),
    });
    const late = setTimeout(() => secure.destroy(new Error('no handshake')), handshakeWithinMs);
    secure.on('error', (cause) => {
      clearTimeout(late);
      reject(new Refusal('untrusted', { cause }));
    });
    secure.once('close', () => reject(new Refusal('untrusted')));
    secure.once('secureConnect', () => {
      clearTimeout(late);
      resolve(secure);
    });
  });

/** Plays the host to the client. Resolves when the client has greeted it by the right name. */
const startClientTls = (socket: Socket, host: string, secureContext: SecureContext): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const name = parseAddress(host) === undefined ? host : false;
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext,
      ALPNProtocols: ['http/1.1'],
      SNICallback: (asked, answer) => (asked.toLowerCase() === name ? answer(null, secureContext) : answer(new Error('another host'))),
    });
    const late = setTimeout(() => secure.destroy(new Error('no handshake')), handshakeWithinMs);
    secure.on('error', () => {
      clearTimeout(late);
      reject(new Refusal('not-tls'));
    });
    secure.once('close', () => reject(new Refusal('not-tls')));
    secure.once('secure', () => {
      clearTimeout(late);
      const asked = secure.servername as string | false | null;
      if ((asked || false) === name) return resolve(secure);
      reject(new Refusal('other-host'));
      secure.destroy();
    });
  });

/** Opens connections to hosts that a secret may go to: TLS ends here, each request is looked at, and TLS begins anew. */
export const createSecretOpener = (
  parts: EgressParts,
  contextOf: (host: string) => SecureContext,
): { open(way: Way, client: Socket, head: Buffer, server: () => ReachableServer): Promise<void>; close(): void } => {
  const opened = new WeakMap<Socket, Opened>();

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const found = opened.get(request.socket);
    if (!found) return void response.destroy();
    const { way, client, server } = found;
    const refuse = (error: unknown): void => {
      const reason = reasonOf(error);
      parts.recorder.refused(way.attempt, reason);
      answerRefusal(response, refusalReasons[reason].status, describeRefusal(reason, `${way.rule.host}:${way.rule.port}`));
    };
    await forwardRequest({ way, client, server: server(), parts, request, response }).catch(refuse);
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
    open: async (way, socket, head, server) => {
      const secureUpstream = await startUpstreamTls(way, parts.authorities);
      secureUpstream.on('error', () => way.end());
      let isTaken = false;
      const client = new Client(`https://${way.rule.host.includes(':') ? `[${way.rule.host}]` : way.rule.host}:${way.rule.port}`, {
        pipelining: 1,
        headersTimeout: silenceMs,
        bodyTimeout: silenceMs,
        connect: (_options, callback) => {
          // one connection a way: a client whose host has hung up connects again itself, and that is on record again
          if (isTaken) return callback(new Refusal('unreachable'), null);
          isTaken = true;
          queueMicrotask(() => callback(null, secureUpstream));
        },
      });
      way.onEnd(() => {
        void client.destroy().catch(() => undefined);
        socket.destroy();
      });
      socket.write(established);
      if (head.length > 0) socket.unshift(head);
      try {
        const secure = await startClientTls(socket, way.rule.host, contextOf(way.rule.host));
        secure.once('close', () => way.end());
        opened.set(secure, { way, client, server });
        inner.emit('connection', secure);
      } catch (error) {
        way.end(reasonOf(error));
      }
    },
    close: () => inner.closeAllConnections(),
  };
};
