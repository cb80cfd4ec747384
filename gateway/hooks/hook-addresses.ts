import { isIP } from 'node:net';
import { Agent } from 'undici';
import { PlatformError } from '../../schema/errors.ts';
import { isLoopbackAddress, isPublicAddress } from '../../schema/network-address.ts';
import { guardedLookup } from '../../store/guarded-lookup.ts';
import type { GatewayConfig } from '../gateway-config.ts';

const connectWithinMs = 2_000;

const portOf = (url: string): string => {
  try {
    const { port, protocol } = new URL(url);
    return port || (protocol === 'https:' ? '443' : protocol === 'http:' ? '80' : '5432');
  } catch {
    return '';
  }
};

/**
 * Which addresses hooks may have: https on the public internet; in the profiles of one machine also this machine, but never a port of the
 * platform. A name is resolved once and the connection goes to what was checked.
 */
export const createHookAddresses = ({
  profile,
  ...config
}: Pick<GatewayConfig, 'profile' | 'publicUrl' | 'apiUrl' | 'issuerUrl' | 'hostUrl' | 'databaseUrl' | 'localModelUrl'>) => {
  const allowsLoopback = profile !== 'production';
  const ownPorts = new Set(Object.values(config).map(portOf));
  const isAllowed = (address: string): boolean => isPublicAddress(address) || (allowsLoopback && isLoopbackAddress(address));
  const dispatcher = new Agent({
    connections: 16,
    pipelining: 1,
    connect: {
      timeout: connectWithinMs,
      lookup: guardedLookup({ isAllowed }),
    },
  });
  return {
    dispatcher,
    /** @throws {PlatformError} `request_invalid` for an address that no hook may have */
    check: (text: string): URL => {
      const url = new URL(text);
      const host = url.hostname.replace(/^\[|\]$/g, '');
      const isHere = isLoopbackAddress(host) || host === 'localhost';
      const isWrong =
        url.username !== '' ||
        url.password !== '' ||
        (url.protocol !== 'https:' && !(allowsLoopback && isHere)) ||
        (isHere && (!allowsLoopback || ownPorts.has(portOf(text)))) ||
        // an address is connected to without a look-up
        (isIP(host) !== 0 && !isAllowed(host));
      if (isWrong)
        throw new PlatformError('request_invalid', `${url.origin} is no address for a hook: it has to be https, and outside this network.`);
      return url;
    },
  };
};
export type HookAddresses = ReturnType<typeof createHookAddresses>;
