import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { EgressRule } from '../../schema/resources/egress.ts';
import type { EgressParts } from './egress-parts.ts';
import { forwardPlain } from './forward-plain.ts';
import { createSecretOpener } from './open-for-secrets.ts';
import { passUnseen } from './pass-unseen.ts';
import { parseAuthority } from './reach-host.ts';
import type { ReachableServer } from './reachable-server.ts';
import { describeRefusal, type RefusalReason, reasonOf, refusalReasons } from './refusal.ts';
import { answerRefusal } from './swap-secrets.ts';
import { createWays } from './way.ts';

/** The proxy of one server. */
export type ServerProxy = {
  /** @param path - of a Unix socket that is not there yet */
  listen(path: string): Promise<void>;
  /** Takes over what the server may reach from now on; connections that it may not have any more are cut. */
  update(server: ReachableServer): void;
  close(): Promise<void>;
};

const refusalText = (reason: RefusalReason, place: string): string => {
  const { status } = refusalReasons[reason];
  const text = describeRefusal(reason, place);
  return `HTTP/1.1 ${status} Refused\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`;
};

/**
 * Makes the proxy through which the processes of one server reach the hosts of its allow-list: `CONNECT` for TLS, absolute addresses for
 * plain HTTP (RFC 9110 §9.3.6, RFC 9112 §3.2.2). Whose it is follows from its socket, which only the cages of that server have.
 */
export const createServerProxy = (first: ReachableServer, parts: EgressParts, contextOf: (host: string) => SecureContext): ServerProxy => {
  let server = first;
  const ways = createWays(parts);
  const opener = createSecretOpener(parts, contextOf);
  const sockets = new Set<Socket>();
  const hasSecret = ({ host }: EgressRule): boolean => server.placeholders.some(({ hosts }) => hosts.includes(host));

  const connect = async (request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> => {
    const asked = (request.url ?? '').slice(0, 300);
    socket.on('error', () => undefined); // seen by its end
    try {
      const place = parseAuthority(asked);
      if (!place) {
        ways.refuse(server, { host: asked, port: 0 }, 'address-malformed');
        return void socket.end(refusalText('address-malformed', asked));
      }
      const way = await ways.open(server, { ...place, kind: (rule) => (hasSecret(rule) ? 'opened' : 'tunnel') });
      socket.once('close', () => way.end());
      way.onEnd(() => {
        // what the host said last is still on its way to the client
        if (!socket.writableEnded) socket.end();
      });
      if (socket.destroyed) return way.end();
      if (way.attempt.kind === 'tunnel') await passUnseen(way, socket, head);
      else
        await opener
          .open(way, socket, head, () => server)
          .catch((error: unknown) => {
            way.end(reasonOf(error));
            throw error;
          });
    } catch (error) {
      socket.end(refusalText(reasonOf(error), asked));
    }
  };

  const listener = createServer({ maxHeaderSize: 65_536, headersTimeout: 30_000, requestTimeout: 0 }, (request, response) => {
    forwardPlain(ways, server, request, response).catch((error: unknown) => {
      const reason = reasonOf(error);
      answerRefusal(response, refusalReasons[reason].status, describeRefusal(reason, request.url ?? ''));
    });
  });
  listener.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  listener.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => void connect(request, socket, head));
  listener.on('upgrade', (request: IncomingMessage, socket: Socket) => socket.end(refusalText('not-tls', request.url ?? '')));
  listener.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!error.code?.startsWith('HPE_') || !socket.writable) return void socket.destroy();
    ways.refuse(server, { host: '', port: 0 }, 'address-malformed');
    socket.end(refusalText('address-malformed', 'what was asked for'));
  });

  return {
    listen: (path) =>
      new Promise((resolve, reject) => {
        listener.once('error', reject);
        listener.listen(path, () => resolve());
      }),
    update: (next) => {
      server = next;
      ways.recheck(next.rules);
    },
    close: async () => {
      listener.close();
      ways.endAll();
      opener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
};
