import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Bytes both ways to a server on this machine, over a port of its own that can go away and come back, as a restart looks from outside. */
export const startBreakableFront = async (target: string) => {
  const { port: targetPort } = new URL(target);
  const sockets = new Set<Socket>();
  let bytes = 0;
  const join = (incoming: Socket): void => {
    const outgoing = connect(Number(targetPort), '127.0.0.1');
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .once('close', () => {
          sockets.delete(socket);
          incoming.destroy();
          outgoing.destroy();
        });
    }
    incoming.on('data', ({ length }) => {
      bytes += length;
    });
    incoming.pipe(outgoing).pipe(incoming);
  };
  let port = 0;
  let server: Server | undefined;
  const start = async (): Promise<void> => {
    server = createServer(join).listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  /** Breaks every connection; those that come later are served. */
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const stop = async (): Promise<void> => {
    const closed = server && once(server, 'close');
    server?.close();
    cut();
    await closed;
  };
  await start();
  return { origin: `http://127.0.0.1:${port}` /** So many came from clients. */, bytes: () => bytes, start, stop, cut };
};
export type BreakableFront = Awaited<ReturnType<typeof startBreakableFront>>;
