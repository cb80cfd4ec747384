import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that systems give to connections and to whoever asks for any port: what is free now is given to nobody a moment later. */
const [first, end] = [10_000, 20_000] as const;

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
};

/** A TCP port of this machine on which nothing listens at the moment. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = randomInt(first, end);
    if (await isFree(port)) return port;
  }
};
