import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

/** A wire to the server that can be told to swallow what comes, so that a call is on its way and never arrives. */
export const startHoldableWire = async (target: number) => {
  const state = { holds: false };
  const sockets = new Set<Socket>();
  const listener = createServer((near) => {
    const far = new (near.constructor as typeof Socket)();
    far.connect(target, '127.0.0.1');
    sockets.add(near);
    near.on('data', (data) => {
      if (!state.holds) far.write(data);
    });
    far.pipe(near);
    for (const socket of [near, far]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
        sockets.delete(near);
      });
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    state,
    url: `http://127.0.0.1:${(listener.address() as { port: number }).port}/mcp`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
    },
  };
};
