import { once } from 'node:events';
import { createServer } from 'node:net';
import { PlatformError } from '../../schema/errors.ts';
import { findPortHolder } from './port-holder.ts';

/** Distance of each listener from the base port. */
export const portOffsets = {
  gateway: 0,
  api: 1,
  issuer: 2,
  host: 3,
  'local-model': 4,
  postgres: 5,
  temporal: 6,
  'dev-idp': 7,
  metrics: 9,
} as const;
export type Listener = keyof typeof portOffsets;
export type Ports = Record<Listener, number>;

/** @param base - 1024 to 65526 */
export const portsFrom = (base: number): Ports => {
  if (!Number.isInteger(base) || base < 1024 || base > 65_526)
    throw new PlatformError('input_invalid', `The port ${base} cannot be used: expected a whole number from 1024 to 65526.`);
  return Object.fromEntries(Object.entries(portOffsets).map(([listener, offset]) => [listener, base + offset])) as Ports;
};

const isFree = async (port: number): Promise<boolean> => {
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    probe.close();
  }
};

/**
 * Looks at all ports before anything is started.
 * @param needed - the listeners that this platform starts itself
 * @throws {PlatformError} `port_taken`, naming the port, what it is for and who holds it where that can be known
 */
export const checkPorts = async (ports: Ports, needed: readonly Listener[]): Promise<void> => {
  for (const listener of needed) {
    const port = ports[listener];
    if (await isFree(port)) continue;
    const holder = findPortHolder(port);
    const by = holder ? ` by ${holder.name} (pid ${holder.pid})` : '';
    throw new PlatformError(
      'port_taken',
      `Port ${port} (${listener}) is taken${by}: stop that, or choose ten others with \`--port ${suggestBase(ports.gateway)}\`.`,
    );
  }
};

/** The next ten ports, unless there are none above. */
const suggestBase = (base: number): number => (base + 10 <= 65_526 ? base + 10 : 7420);
