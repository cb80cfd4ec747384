import type { Socket } from 'node:net';
import { parseAddress } from '../../schema/network-address.ts';
import { longestGreetingBytes, readClientHello } from './client-hello.ts';
import { Refusal, reasonOf } from './refusal.ts';
import type { Way } from './way.ts';

const greetWithinMs = 10_000;
/** Fatal alerts of TLS (RFC 8446 §6.2), so that a client says more than that the connection was lost. */
const alerts = { unrecognizedName: 112, accessDenied: 49 } as const;

export const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';

const alertOf = (alert: number): Buffer => Buffer.from([21, 3, 3, 0, 2, 2, alert]);

/** Waits for the whole greeting of a client. @throws {Refusal} `not-tls` */
const readGreeting = (client: Socket, head: Buffer): Promise<{ bytes: Buffer; host: string | undefined }> =>
  new Promise((resolve, reject) => {
    let bytes = head;
    const late = setTimeout(() => fail(), greetWithinMs);
    const done = (): void => {
      clearTimeout(late);
      client.off('data', take);
      client.off('close', fail);
      client.off('end', fail);
      client.pause();
    };
    const fail = (): void => {
      done();
      reject(new Refusal('not-tls'));
    };
    const look = (): void => {
      const greeting = readClientHello(bytes);
      if (greeting.kind === 'tls') {
        done();
        resolve({ bytes, host: greeting.host });
      } else if (greeting.kind === 'other' || bytes.length > longestGreetingBytes) fail();
    };
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      look();
    };
    client.on('data', take);
    client.once('close', fail);
    client.once('end', fail);
    if (head.length > 0) look();
  });

/** Lets both sides hear each other; the end of one half ends that half, a break breaks both. */
const join = (client: Socket, way: Way): void => {
  client.on('data', way.check).pipe(way.upstream);
  way.upstream.on('data', way.check).pipe(client);
};

/**
 * Carries TLS of a client to an allowed host without looking into it. The host that its greeting names has to be the one it asked for:
 * servers behind one address serve many names.
 */
export const passUnseen = async (way: Way, client: Socket, head: Buffer): Promise<void> => {
  const { host } = way.rule;
  client.write(established);
  try {
    const greeting = await readGreeting(client, head);
    // addresses are not named in a greeting (RFC 6066 §3)
    if (greeting.host !== (parseAddress(host) === undefined ? host : undefined)) throw new Refusal('other-host');
    way.upstream.write(greeting.bytes);
    way.sent([]);
    join(client, way);
  } catch (error) {
    const reason = reasonOf(error);
    client.end(alertOf(reason === 'other-host' ? alerts.unrecognizedName : alerts.accessDenied));
    way.end(reason);
  }
};
