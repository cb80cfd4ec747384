import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** Asks the system for a TCP port on 127.0.0.1 that nobody listens on. */
export const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
};
