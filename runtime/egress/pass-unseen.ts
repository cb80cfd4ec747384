import type { Socket } from 'node:net';
import type { Way } from './way.ts';

/**
 * Carries TLS of a client to an allowed host without looking into it: the end of one half ends that half, a break breaks both.
 * @param greeting - what the client has said so far
 */
export const passUnseen = (way: Way, client: Socket, greeting: Buffer): void => {
  way.upstream.write(greeting);
  way.sent([]);
  way.onEnd(() => client.end());
  client.on('data', way.check).pipe(way.upstream);
  way.upstream.on('data', way.check).pipe(client);
};
