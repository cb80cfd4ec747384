import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** An address that leads to one port of this machine, and from some moment on to another: what a virtual address does in front of a database. */
export const startTcpSwitch = async (firstPort: number) => {
  let port = firstPort;
  let isCut = false;
  const open = new Set<Socket>();
  const server = createServer((incoming) => {
    if (isCut) return void incoming.destroy();
    const outgoing = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      open.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    /** New connections lead there; those that stand are not touched. */
    turnTo: (next: number): void => {
      port = next;
    },
    /** Nobody gets through until `mend`; what stands is broken. */
    cut: (): void => {
      isCut = true;
      for (const each of open) each.destroy();
    },
    mend: (): void => {
      isCut = false;
    },
    /** From now on nothing that is sent arrives, as where a process is stopped: connections stand, and say nothing. */
    hang: (): void => {
      for (const each of open) each.unpipe().pause();
    },
    close: async (): Promise<void> => {
      for (const each of open) each.destroy();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
};
