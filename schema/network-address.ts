/**
 * What a network address is to whoever follows an address given from outside: `public`, of the internet; `private`, of some inner network;
 * `loopback`, this machine itself; `forbidden`, one that nobody is ever led to: metadata services of clouds, link-local, multicast,
 * unspecified, and every IPv6 form that stands for an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo), behind which any of the others may be.
 */
export type AddressKind = 'public' | 'private' | 'loopback' | 'forbidden';

type Network = { bytes: readonly number[]; prefix: number };

const byteOf = (text: string): number | undefined => (/^(0|[1-9]\d{0,2})$/.test(text) && Number(text) <= 255 ? Number(text) : undefined);

/** Four dotted decimal numbers and no other of the ways in which some libraries read an IPv4 address. */
const parseIpv4 = (text: string): number[] | undefined => {
  const bytes = text.split('.').map(byteOf);
  return bytes.length === 4 && bytes.every((byte) => byte !== undefined) ? (bytes as number[]) : undefined;
};

const groupsOf = (text: string): number[] | undefined => {
  if (text === '') return [];
  const parts = text.split(':');
  const bytes: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1 && part.includes('.')) {
      const tail = parseIpv4(part);
      if (!tail) return undefined;
      bytes.push(...tail);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      const group = Number.parseInt(part, 16);
      bytes.push(group >> 8, group & 255);
    }
  }
  return bytes;
};

/** @see https://www.rfc-editor.org/rfc/rfc4291#section-2.2 */
const parseIpv6 = (text: string): number[] | undefined => {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(groupsOf);
  if (!head || (halves.length === 2 && !tail)) return undefined;
  if (!tail) return head.length === 16 ? head : undefined;
  const missing = 16 - head.length - tail.length;
  return missing >= 2 ? [...head, ...Array.from({ length: missing }, () => 0), ...tail] : undefined;
};

/** @returns four or sixteen bytes; undefined for anything that is not a plain address, such as one with a zone */
export const parseAddress = (text: string): number[] | undefined => (text.includes(':') ? parseIpv6(text) : parseIpv4(text));

const network = (text: string): Network => {
  const [address = '', prefix = ''] = text.split('/');
  return { bytes: parseAddress(address) ?? [], prefix: Number(prefix) };
};

const isIn = (address: readonly number[], { bytes, prefix }: Network): boolean =>
  address.length === bytes.length &&
  bytes.every((byte, index) => {
    const bits = Math.max(0, Math.min(8, prefix - index * 8));
    return (byte >> (8 - bits)) << (8 - bits) === ((address[index] ?? 0) >> (8 - bits)) << (8 - bits);
  });

/** Metadata services of clouds that lie among addresses of other kinds. */
const metadata = ['100.100.100.200/32', '168.63.129.16/32', '192.0.0.192/32', 'fd00:ec2::/32', 'fd20:ce::254/128'].map(network);
const loopback = ['127.0.0.0/8', '::1/128'].map(network);
const inner = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'].map(network);
/** What the special-purpose registries of IANA list besides. */
const special = [
  ...['0.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '198.18.0.0/15', '198.51.100.0/24'],
  ...['203.0.113.0/24', '224.0.0.0/3', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'],
].map(network);
const globalUnicast = network('2000::/3');

/** @param text - an address as a resolver gives it, without brackets */
export const addressKind = (text: string): AddressKind => {
  const address = parseAddress(text);
  const isOneOf = (networks: readonly Network[]): boolean => address !== undefined && networks.some((one) => isIn(address, one));
  if (address === undefined || isOneOf(metadata)) return 'forbidden';
  if (isOneOf(loopback)) return 'loopback';
  if (isOneOf(inner)) return 'private';
  if (isOneOf(special)) return 'forbidden';
  return address.length === 4 || isIn(address, globalUnicast) ? 'public' : 'forbidden';
};

/** Whether an address is one of the public internet. */
export const isPublicAddress = (text: string): boolean => addressKind(text) === 'public';

/** Whether an address is this machine itself. */
export const isLoopbackAddress = (text: string): boolean => addressKind(text) === 'loopback';
