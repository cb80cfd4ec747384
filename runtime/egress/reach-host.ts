import { connect, type Socket } from 'node:net';
import { addressKind, parseAddress } from '../../schema/network-address.ts';
import type { EgressRule } from '../../schema/resources/egress.ts';
import type { EgressParts, LookUp } from './egress-parts.ts';
import { Refusal } from './refusal.ts';

const connectWithinMs = 10_000;

/** `host:port` or `[address]:port`, spelled as rules are; nothing is decoded or completed. */
export const parseAuthority = (text: string, defaultPort?: number): { host: string; port: number } | undefined => {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::([1-9]\d{0,4}))?$/i.exec(text) ?? [];
  const host = (bracketed ?? plain)?.toLowerCase();
  const port = digits === undefined ? defaultPort : Number(digits);
  return host === undefined || port === undefined || port > 65_535 ? undefined : { host, port };
};

const look = async (host: string, lookUp: LookUp): Promise<string[]> => {
  if (parseAddress(host) !== undefined) return [host];
  try {
    return (await lookUp(host)).map(({ address }) => address);
  } catch (cause) {
    throw new Refusal('name-unknown', { cause });
  }
};

/**
 * Resolves the host of a rule, once. One address that may not be reached among several is enough to refuse: names that have both are set
 * up to lead somewhere.
 * @returns the addresses to connect to, and no others
 */
export const findAddresses = async (
  { host, port, private: isPrivate }: EgressRule,
  { lookUp, closedPorts }: Pick<EgressParts, 'lookUp' | 'closedPorts'>,
): Promise<string[]> => {
  const addresses = await look(host, lookUp);
  if (addresses.length === 0) throw new Refusal('name-unknown');
  for (const address of addresses) {
    const kind = addressKind(address);
    if (kind === 'forbidden' || (kind !== 'public' && !isPrivate)) throw new Refusal('address-forbidden');
    if (kind === 'loopback' && closedPorts.has(port)) throw new Refusal('own-port');
  }
  return addresses;
};

const connectTo = (host: string, port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const late = setTimeout(() => socket.destroy(new Error('it does not answer')), connectWithinMs);
    socket.once('error', reject);
    socket.once('close', () => {
      clearTimeout(late);
      reject(new Error('it was closed'));
    });
    socket.once('connect', () => {
      clearTimeout(late);
      socket.off('error', reject);
      // what the kernel says it is connected to, not what was asked for
      if (socket.remoteAddress === host) return resolve(socket);
      socket.destroy();
      reject(new Refusal('address-forbidden'));
    });
  });

/** Connects to the first of the addresses that answers. */
export const connectPinned = async (addresses: readonly string[], port: number): Promise<Socket> => {
  let cause: unknown;
  for (const address of addresses)
    try {
      return await connectTo(address, port);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      cause = error;
    }
  throw new Refusal('unreachable', { cause });
};
