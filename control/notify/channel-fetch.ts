import { isIP } from 'node:net';
import { Agent, fetch } from 'undici';
import { PlatformError } from '../../schema/errors.ts';
import { isLoopbackAddress, isPublicAddress } from '../../schema/network-address.ts';
import { guardedLookup, type Resolve } from '../../store/guarded-lookup.ts';

const connectWithinMs = 3_000;
const answerWithinMs = 8_000;

const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '');
const isHere = (host: string): boolean => host === 'localhost' || isLoopbackAddress(host);

/**
 * Where channels may lead: https on the public internet; on a machine of one's own also that machine. No redirects, so that nothing is led
 * elsewhere. Mail servers are held to the same addresses.
 */
export const createChannelNetwork = ({ allowsLoopback, resolve }: { allowsLoopback: boolean; resolve?: Resolve | undefined }) => {
  const isAllowed = (address: string): boolean => isPublicAddress(address) || (allowsLoopback && isLoopbackAddress(address));
  const lookup = guardedLookup({ isAllowed, resolve });
  const dispatcher = new Agent({ connections: 8, connect: { timeout: connectWithinMs, lookup } });
  const refuse = (where: string): PlatformError =>
    new PlatformError('request_invalid', `${where} is no address for a channel: it has to be https, and outside this network.`);

  const check = (text: string): URL => {
    const url = new URL(text);
    const host = hostOf(url);
    const isPlain = url.protocol !== 'https:' && !(allowsLoopback && isHere(host));
    if (isPlain || url.username !== '' || url.password !== '' || (isIP(host) !== 0 && !isAllowed(host))) throw refuse(url.origin);
    return url;
  };

  return {
    /** The address of a name, where channels may lead there. @throws where they may not */
    resolve: (host: string): Promise<string> =>
      new Promise((found, failed) =>
        isIP(host) === 0 ? lookup(host, {}, (error, address) => (error ? failed(error) : found(String(address)))) : found(host),
      ),
    /** @throws {PlatformError} `request_invalid` for a host that no channel may have */
    checkHost: (host: string): { isHere: boolean } => {
      if ((isHere(host) && !allowsLoopback) || (isIP(host) !== 0 && !isAllowed(host))) throw refuse(host);
      return { isHere: isHere(host) };
    },
    /** As `fetch`, for addresses that `check` lets through. @throws {PlatformError} `request_invalid` */
    fetch: (async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
      const url = check(String(input instanceof Request ? input.url : input));
      const signals = [AbortSignal.timeout(answerWithinMs), ...(init.signal ? [init.signal] : [])];
      const answer = await fetch(url, {
        method: init.method ?? 'GET',
        headers: Object.fromEntries(new Headers(init.headers)),
        ...(init.body === undefined || init.body === null ? {} : { body: init.body as string }),
        redirect: 'manual',
        signal: AbortSignal.any(signals),
        dispatcher,
      });
      return answer as unknown as Response;
    }) as typeof globalThis.fetch,
    close: () => dispatcher.close(),
  };
};
export type ChannelNetwork = ReturnType<typeof createChannelNetwork>;
