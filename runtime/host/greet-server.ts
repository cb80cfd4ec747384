import type { ServerLaunch } from '../../schema/server-launch.ts';
import { type DiscoveredServer, discoverServer } from '../stdio/discover-server.ts';
import { type Handshake, type InitializeResult, initializeServer } from '../stdio/initialize-server.ts';
import type { Multiplexer } from '../stdio/multiplexer.ts';
import type { KnownEras } from './known-eras.ts';

/** How a process is spoken to, and what it said of itself; a legacy process that has not been introduced to its client has said nothing. */
export type Greeting = { era: 'modern'; discovered: DiscoveredServer } | { era: 'legacy'; initialized?: InitializeResult };

export type GreetServer = {
  multiplexer: Multiplexer;
  launch: ServerLaunch;
  knownEras: KnownEras;
  /** What a legacy process is told of its client; undefined = later. */
  handshake: Handshake | undefined;
  /** A server that has not answered the first question after so long is taken for a legacy one. */
  probeTimeoutMs: number;
  signal: AbortSignal;
};

/**
 * Finds out which era a process belongs to and opens its session where it needs one.
 *
 * A server of both eras is spoken to in the modern way. Sharing a process is safe there by design: each request says who asks and what that client
 * can do, questions come as answers of the request, and changes go to those who listen. In the legacy way a shared process could ask nobody.
 * @throws {PlatformError} `server_unavailable`
 */
export const greetServer = async ({
  multiplexer,
  launch,
  knownEras,
  handshake,
  probeTimeoutMs,
  signal,
}: GreetServer): Promise<Greeting> => {
  if (!knownEras.isLegacy(launch)) {
    const discovered = await discoverServer(multiplexer, AbortSignal.any([signal, AbortSignal.timeout(probeTimeoutMs)]));
    if (discovered) return { era: 'modern', discovered };
  }
  if (handshake === undefined) return { era: 'legacy' };
  try {
    const initialized = await initializeServer(multiplexer, handshake, signal);
    knownEras.remember(launch);
    return { era: 'legacy', initialized };
  } catch (error) {
    knownEras.forget(launch);
    // A modern server that was slow to start has missed the first question, or it was a legacy one when it was asked last.
    const discovered = await discoverServer(multiplexer, signal);
    if (discovered) return { era: 'modern', discovered };
    throw error;
  }
};
