import type { Socket } from 'node:net';
import { longestGreetingBytes, readClientHello } from './client-hello.ts';
import { Refusal } from './refusal.ts';

const greetWithinMs = 10_000;
const httpRequest = /^[A-Z]{3,10} \//;

/** How a client begins in a tunnel: TLS for a host that it names (or does not), or a request of plain HTTP. */
export type ClientGreeting = { bytes: Buffer } & ({ kind: 'tls'; host: string | undefined } | { kind: 'http' });

const judge = (bytes: Buffer): ClientGreeting | 'incomplete' | 'other' => {
  if (httpRequest.test(bytes.subarray(0, 16).toString('latin1'))) return { kind: 'http', bytes };
  if (bytes.length < 12 && /^[A-Z]*$/.test(bytes.toString('latin1'))) return 'incomplete';
  const greeting = readClientHello(bytes);
  if (greeting.kind === 'tls') return { ...greeting, bytes };
  return greeting.kind === 'incomplete' && bytes.length <= longestGreetingBytes ? 'incomplete' : 'other';
};

/**
 * Waits until a client has said what it is about to speak. The socket is paused then.
 * @param head - what has come already
 * @throws {Refusal} `not-tls`
 */
export const readGreeting = (client: Socket, head: Buffer): Promise<ClientGreeting> =>
  new Promise((resolve, reject) => {
    let bytes = head;
    const late = setTimeout(() => fail(), greetWithinMs);
    const done = (): void => {
      clearTimeout(late);
      client.off('data', take).off('close', fail).off('end', fail).pause();
    };
    const fail = (): void => {
      done();
      reject(new Refusal('not-tls'));
    };
    const look = (): void => {
      const greeting = judge(bytes);
      if (greeting === 'other') fail();
      else if (greeting !== 'incomplete') {
        done();
        resolve(greeting);
      }
    };
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      look();
    };
    client.on('data', take).once('close', fail).once('end', fail);
    if (head.length > 0) look();
  });
