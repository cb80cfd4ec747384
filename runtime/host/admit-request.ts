import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { PlatformError } from '../../schema/errors.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Makes the check every request passes first: it is addressed to this listener by its own name, comes from no web page, and brings the key.
 * @param port - the port listened on
 * @returns a function that throws {PlatformError} `not_permitted` or `not_authenticated`
 */
export const createAdmission = (key: string, port: number): ((request: IncomingMessage, needsKey: boolean) => void) => {
  const expected = digest(`Bearer ${key}`);
  const hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
  return (request, needsKey) => {
    // A page whose name was rebound to 127.0.0.1 still sends its own name as Host, and its Origin.
    if (!hosts.has(request.headers.host ?? '') || request.headers.origin !== undefined)
      throw new PlatformError('not_permitted', 'This address is for the other processes of the platform.');
    if (needsKey && !timingSafeEqual(digest(request.headers.authorization ?? ''), expected))
      throw new PlatformError('not_authenticated', 'The internal key is missing or wrong.');
  };
};
