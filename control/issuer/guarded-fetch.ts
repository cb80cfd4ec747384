import { lookup } from 'node:dns';
import { BlockList, isIP, isIPv4 } from 'node:net';
import { Agent, fetch } from 'undici';

const answerWithinMs = 2_500;

/** Addresses that are not on the public internet (IANA special-purpose registries), beside those that only stand for one of them. */
const special = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  special.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  special.addSubnet(network, prefix, 'ipv6');
const global = new BlockList();
global.addSubnet('2000::', 3, 'ipv6');

/** Whether an address is one of the public internet; what stands for an IPv4 address in IPv6 never is. */
export const isPublicAddress = (address: string): boolean => {
  if (isIPv4(address)) return !special.check(address, 'ipv4');
  return isIP(address) === 6 && global.check(address, 'ipv6') && !special.check(address, 'ipv6');
};

const isLoopbackAddress = (address: string): boolean => address === '::1' || (isIPv4(address) && address.startsWith('127.'));

/** A host that may not be asked. */
export class ForbiddenAddress extends Error {}

/**
 * Makes the `fetch` for addresses that come from outside, such as the documents of clients: https alone, no redirects, no credentials,
 * within 2.5 seconds, and never to an address of this network. Names are resolved once and the connection goes to what was checked, so a
 * name that changes its address in between leads nowhere else.
 * @param options.allowsLoopback - lets this machine itself be asked
 * @param options.authorities - certificate authorities (PEM) in place of the public ones
 */
export const createGuardedFetch = ({ allowsLoopback, authorities }: { allowsLoopback: boolean; authorities?: string }) => {
  const isAllowed = (address: string): boolean => isPublicAddress(address) || (allowsLoopback && isLoopbackAddress(address));
  const dispatcher = new Agent({
    connect: {
      timeout: answerWithinMs,
      ...(authorities === undefined ? {} : { ca: authorities }),
      lookup: (host, options, answer) =>
        lookup(host, { ...options, all: true }, (error, addresses) => {
          if (error) return answer(error, '', 0);
          const [first] = addresses;
          // one forbidden address among several is enough: the socket would try them in turn
          if (first === undefined || !addresses.every(({ address }) => isAllowed(address)))
            return answer(new ForbiddenAddress(`${host} is not on the public internet`), '', 0);
          return options.all ? answer(null, addresses) : answer(null, first.address, first.family);
        }),
    },
  });

  return async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') throw new ForbiddenAddress('only plain https is fetched');
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // an address is connected to without a look-up
    if (isIP(host) !== 0 && !isAllowed(host)) throw new ForbiddenAddress(`${host} is not on the public internet`);
    const response = await fetch(url, {
      method: init.method ?? 'GET',
      headers: Object.fromEntries(new Headers(init.headers)),
      ...(typeof init.body === 'string' || init.body instanceof URLSearchParams ? { body: String(init.body) } : {}),
      redirect: 'manual',
      signal: AbortSignal.timeout(answerWithinMs),
      dispatcher,
    });
    return response as unknown as Response;
  };
};
export type GuardedFetch = ReturnType<typeof createGuardedFetch>;
