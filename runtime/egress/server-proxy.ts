import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { parseAddress } from '../../schema/network-address.ts';
import type { EgressRule } from '../../schema/resources/egress.ts';
import type { EgressParts } from './egress-parts.ts';
import { forwardPlain } from './forward-plain.ts';
import { createWayOpener } from './open-way.ts';
import { passUnseen } from './pass-unseen.ts';
import { parseAuthority } from './reach-host.ts';
import type { ReachableServer } from './reachable-server.ts';
import { readGreeting } from './read-greeting.ts';
import { describeRefusal, Refusal, type RefusalReason, reasonOf, refusalReasons } from './refusal.ts';
import { answerRefusal } from './swap-secrets.ts';
import { createWays, type Way } from './way.ts';

/** The proxy of one server. */
export type ServerProxy = {
  /** @param path - of a Unix socket that is not there yet */
  listen(path: string): Promise<void>;
  /** Takes over what the server may reach from now on; connections that it may not have any more are cut. */
  update(server: ReachableServer): void;
  close(): Promise<void>;
};

const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';
/** Fatal alerts of TLS (RFC 8446 §6.2), so that a client says more than that the connection was lost. */
const alerts = { unrecognizedName: 112, accessDenied: 49 } as const;
const alertOf = (alert: number): Buffer => Buffer.from([21, 3, 3, 0, 2, 2, alert]);

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
  const opener = createWayOpener(parts);
  const sockets = new Set<Socket>();
  const hasSecret = ({ host }: EgressRule): boolean => server.placeholders.some(({ hosts }) => hosts.includes(host));

  /** Says on the way what is spoken there: TLS is passed on unseen, but for hosts that a secret may go to; plain HTTP is looked at. */
  const carry = async (way: Way, socket: Socket, head: Buffer): Promise<void> => {
    const { host } = way.rule;
    const greeting = await readGreeting(socket, head);
    const options = { greeting: greeting.bytes, server: () => server };
    if (greeting.kind === 'http') {
      way.attempt.kind = 'plain';
      return opener.open(way, socket, { ...options, secureContext: undefined });
    }
    // servers behind one address serve many names; addresses are not named in a greeting (RFC 6066 §3)
    if (greeting.host !== (parseAddress(host) === undefined ? host : undefined)) throw new Refusal('other-host');
    if (way.attempt.kind === 'tunnel') return passUnseen(way, socket, greeting.bytes);
    opener.open(way, socket, { ...options, secureContext: contextOf(host) });
  };

  const connect = async (request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> => {
    const asked = (request.url ?? '').slice(0, 300);
    socket.on('error', () => undefined); // seen by its end
    const place = parseAuthority(asked);
    if (!place) {
      ways.refuse(server, { host: asked, port: 0 }, 'address-malformed');
      return void socket.end(refusalText('address-malformed', asked));
    }
    let way: Way;
    try {
      way = await ways.open(server, { ...place, kind: (rule) => (hasSecret(rule) ? 'opened' : 'tunnel') });
    } catch (error) {
      return void socket.end(refusalText(reasonOf(error), asked));
    }
    socket.once('close', () => way.end());
    if (socket.destroyed) return way.end();
    socket.write(established);
    await carry(way, socket, head).catch((error: unknown) => {
      const reason = reasonOf(error);
      socket.end(alertOf(reason === 'other-host' ? alerts.unrecognizedName : alerts.accessDenied));
      way.end(reason);
    });
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
