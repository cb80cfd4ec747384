import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** `ReadyForQuery` outside a transaction: what came before it is committed. @see https://www.postgresql.org/docs/current/protocol-message-formats.html */
const isDone = (data: Buffer): boolean => data.subarray(-6).equals(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]));

/**
 * A wire to Postgres that loses answers: what is written takes effect, and whoever wrote it hears of a broken connection. This is the worst
 * of a network's faults, as nothing that the caller sees tells it from a write that never came there.
 */
export const startLossyPostgres = async (databaseUrl: string) => {
  const target = new URL(databaseUrl);
  let armed: { marker: string; skip: number } | undefined;
  let lost = 0;
  const open = new Set<Socket>();
  const listener = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    let isDoomed = false;
    near.on('data', (data) => {
      // a statement's values stand in what is sent as they are
      if (armed && !isDoomed && data.includes(armed.marker)) {
        isDoomed = armed.skip === 0;
        if (isDoomed) armed = undefined;
        else armed.skip -= 1;
      }
      far.write(data);
    });
    far.on('data', (data) => {
      if (!isDoomed || !isDone(data)) return void near.write(data);
      lost += 1;
      near.destroy();
    });
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((listener.address() as { port: number }).port);
  return {
    url: url.href,
    /** The next write that holds the marker takes effect unheard. @param skip - so many of them are heard before that */
    loseAnswerTo: (marker: string, skip = 0): void => {
      armed = { marker, skip };
    },
    /** How many answers were lost so far. */
    lost: (): number => lost,
    close: (): void => {
      for (const socket of open) socket.destroy();
      listener.close();
    },
  };
};
