import { BlockList, isIP } from 'node:net';

/** Headers as Node gives them: names in lower case. */
type Headers = Readonly<Record<string, string | string[] | undefined>>;

/**
 * Says where a request comes from.
 * @param peer - address of the connection
 * @returns an IP address, or undefined where the connection has none
 */
export type SourceOf = (peer: string | undefined, headers: Headers) => string | undefined;

/** Hops that are looked at, from the right: a longer list is somebody's who wants us to read it. */
const mostHops = 20;

/** `192.0.2.0/24`, `2001:db8::/32` or one address; undefined where it is neither. */
const parseRange = (range: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined => {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(range) ?? [];
  const version = isIP(address);
  if (version === 0) return undefined;
  const longest = version === 4 ? 32 : 128;
  const prefix = bits === undefined ? longest : Number(bits);
  return prefix <= longest ? { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' } : undefined;
};

export const isAddressRange = (range: string): boolean => parseRange(range) !== undefined;

/** One spelling of an address, so that an IPv4 peer on an IPv6 socket is the same source; undefined for a name, a port without one, or nothing. */
const plainAddress = (text: string | undefined): string | undefined => {
  const trimmed = text?.trim().replace(/^"(.*)"$/, '$1') ?? '';
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(trimmed)?.[1] ?? (/^[\d.]+:\d+$/.test(trimmed) ? trimmed.replace(/:\d+$/, '') : trimmed);
  const mapped = /^::ffff:([\d.]+)$/i.exec(bare)?.[1] ?? bare;
  const address = mapped.replace(/%.*$/, '').toLowerCase();
  return isIP(address) === 0 ? undefined : address;
};

const elementsOf = (header: string | string[] | undefined): string[] | undefined =>
  header === undefined ? undefined : [header].flat().join(',').split(',');

/** The `for` of each element (RFC 7239 §5.2); one without it is a hop that nobody knows. */
const forwardedHops = (header: string | string[] | undefined): (string | undefined)[] | undefined =>
  elementsOf(header)?.map((element) => plainAddress(/(?:^|;)\s*for=("[^"]*"|[^;]*)/i.exec(element)?.[1]));

/**
 * Finds where requests come from behind proxies. Whatever a caller writes into a header is theirs, so it is looked at only where the
 * connection comes from a trusted proxy, and then from the right: the first hop that is no such proxy is whom the last of them spoke with.
 * Everything left of it is hearsay. Where `X-Forwarded-For` and `Forwarded` disagree, one of them is not the proxy's, and neither counts.
 * @param trustedProxies - addresses or CIDR ranges; none: a request comes from where its connection does
 */
export const createSourceOf = (trustedProxies: readonly string[] = []): SourceOf => {
  const trusted = new BlockList();
  for (const range of trustedProxies) {
    const parsed = parseRange(range);
    if (parsed === undefined) throw new RangeError(`${range} is no address and no range of addresses`);
    trusted.addSubnet(parsed.address, parsed.prefix, parsed.family);
  }
  const isTrusted = (address: string): boolean => trusted.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');

  /** @returns the right-most hop that is not trusted; a hop without an address ends the walk at the proxy that named it */
  const walk = (peer: string, hops: readonly (string | undefined)[]): string => {
    let source = peer;
    for (const hop of hops.slice(-mostHops).toReversed()) {
      if (hop === undefined) return source;
      source = hop;
      if (!isTrusted(hop)) return source;
    }
    return source;
  };

  return (peer, headers) => {
    const from = plainAddress(peer);
    if (from === undefined || trustedProxies.length === 0 || !isTrusted(from)) return from ?? peer;
    const sources = [elementsOf(headers['x-forwarded-for'])?.map(plainAddress), forwardedHops(headers.forwarded)].flatMap((hops) =>
      hops === undefined ? [] : [walk(from, hops)],
    );
    const [first = from, second = first] = sources;
    return first === second ? first : from;
  };
};
