import { connect, getCACertificates, type TLSSocket } from 'node:tls';
import { parseAddress } from '../../schema/network-address.ts';
import { Refusal } from './refusal.ts';
import type { Way } from './way.ts';

const handshakeWithinMs = 10_000;

/**
 * Speaks TLS to the host of a way itself, as any client would.
 * @param authorities - certificate authorities (PEM) beside the public ones
 * @throws {Refusal} `untrusted`
 */
export const startUpstreamTls = ({ upstream, rule }: Way, authorities: readonly string[]): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const secure = connect({
      socket: upstream,
      ...(parseAddress(rule.host) === undefined ? { servername: rule.host } : { host: rule.host }),
      ALPNProtocols: ['http/1.1'],
      ...(authorities.length > 0 ? { ca: [...getCACertificates('default'), ...authorities] } : {}),
    });
    const late = setTimeout(() => secure.destroy(new Error('no handshake')), handshakeWithinMs);
    const fail = (cause?: unknown): void => {
      clearTimeout(late);
      reject(new Refusal('untrusted', { cause }));
    };
    secure.on('error', fail).once('close', fail);
    secure.once('secureConnect', () => {
      clearTimeout(late);
      resolve(secure);
    });
  });
